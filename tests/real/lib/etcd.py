"""Members of etcd as Debian packages it, on loopback, each in a folder of its own.

In: one member or three, plain or with TLS and client certificates, users, killing and stopping. Out: what is kept in it.
"""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

from lib.appliance import free_port

# What a member may take to start, or a cluster to elect a leader, on a busy machine.
SECONDS = 30
USER, PASSWORD = "vendor", "a password of the vendor"


class Member:
    """`process` is None while it does not run; folder and ports stay."""

    def __init__(self, cluster, number):
        self.cluster, self.name = cluster, f"m{number}"
        self.folder = cluster.folder / self.name
        self.client, self.peer = (f"127.0.0.1:{free_port()}" for _ in range(2))
        # Where the other members reach it.
        self.wire = Wire(self.peer) if cluster.wired else None
        self.reached = self.wire.address if self.wire else self.peer
        self.process = None

    def start(self):
        cluster = self.cluster
        command = [
            "etcd", "--name", self.name, "--data-dir", str(self.folder),
            "--listen-client-urls", f"{cluster.scheme}://{self.client}",
            "--advertise-client-urls", f"{cluster.scheme}://{self.client}",
            "--listen-peer-urls", f"http://{self.peer}", "--initial-advertise-peer-urls", f"http://{self.reached}",
            "--initial-cluster", ",".join(f"{member.name}=http://{member.reached}" for member in cluster.members),
            "--auto-compaction-mode=periodic", "--auto-compaction-retention=1h", "--logger=zap", *cluster.flags,
        ]  # fmt: skip
        with open(cluster.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(SECONDS)
            self.process = None


class Wire:
    """A port before another one, on which the connections between members can be cut."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.is_cut, self.ends = False, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            host, port = self.target.split(":")
            try:
                if self.is_cut:
                    raise OSError("cut")
                far = socket.create_connection((host, int(port)), timeout=SECONDS)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            self.ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.forward, args=(one, other), daemon=True).start()

    def forward(self, one, other):
        try:
            while piece := one.recv(65_536):
                other.sendall(piece)
        except OSError:
            pass
        for end in (one, other):
            self.end(end)

    def end(self, socket_):
        try:
            socket_.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster

    def cut(self):
        self.is_cut = True
        for end in self.ends:
            self.end(end)
        self.ends = []

    def mend(self):
        self.is_cut = False


class Cluster:
    """`with Cluster(folder, 3, authority) as cluster: …`; with an authority it speaks TLS and wants client certificates."""

    def __init__(self, folder, size=1, authority=None, flags=(), wired=False):
        self.folder, self.wired = folder, wired
        folder.mkdir()
        self.scheme, self.flags, self.environment, self.tool = "http", list(flags), {}, []
        if authority:
            # A member's gateway is a client of the member itself, with the member's certificate.
            server = authority.certify("etcd", usages="serverAuth,clientAuth")
            client = authority.certify("vendor", usages="clientAuth", subject="O")
            # With users, etcd refuses what is asked of the gateway with a common name.
            self.named = authority.certify("named", usages="clientAuth")
            self.scheme = "https"
            self.flags += ["--cert-file", server.cert, "--key-file", server.key, "--client-cert-auth"]
            self.flags += ["--trusted-ca-file", authority.root]
            self.environment = {"ETCD_CA": authority.root, "ETCD_CERT": client.cert, "ETCD_KEY": client.key}
            self.tool = ["--cacert", authority.root, "--cert", client.cert, "--key", client.key]
        self.members = [Member(self, number) for number in range(size)]

    def __enter__(self):
        try:
            for member in self.members:
                member.start()
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.stop()

    def urls(self, members=None):
        return ",".join(f"{self.scheme}://{member.client}" for member in members or self.members)

    def wait(self):
        """Until every running member answers, which it does only with a leader."""
        end = time.monotonic() + SECONDS
        for member in self.members:
            while member.process is not None and not self.answers(member):
                if time.monotonic() > end:
                    log = (self.folder / f"{member.name}.log").read_text(errors="replace")[-1500:]
                    raise RuntimeError(f"{member.name} of etcd does not answer within {SECONDS} s: {log}")
                time.sleep(0.1)

    def answers(self, member):
        try:
            self.etcdctl("get", "nothing", members=[member])
        except RuntimeError:
            return False
        return True

    def leader(self):
        """The member that leads."""
        for member in self.members:
            fields = self.etcdctl("endpoint", "status", "-w", "fields", members=[member])
            values = dict(line.split(" : ") for line in fields.splitlines() if " : " in line)
            if values['"Leader"'] == values['"MemberID"']:
                return member
        raise RuntimeError("no member of etcd leads")

    def etcdctl(self, *words, members=None):
        """What etcd's own client prints."""
        command = ["etcdctl", "--endpoints", self.urls(members), *self.tool, *words]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, timeout=SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"etcdctl {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def make_user(self, prefix):
        """Turns users on: one who has `prefix` alone."""
        password = self.folder / "password"
        password.write_text(f"{PASSWORD}\n")
        password.chmod(0o600)
        self.etcdctl("user", "add", f"root:{PASSWORD}")
        self.etcdctl("user", "grant-role", "root", "root")
        self.etcdctl("role", "add", "licenses")
        self.etcdctl("role", "grant-permission", "licenses", "--prefix=true", "readwrite", prefix)
        self.etcdctl("user", "add", f"{USER}:{PASSWORD}")
        self.etcdctl("user", "grant-role", USER, "licenses")
        self.etcdctl("auth", "enable")
        self.tool += ["--user", f"root:{PASSWORD}"]
        self.environment |= {"ETCD_USER": USER, "ETCD_PASSWORD_FILE": password}


def is_here():
    return shutil.which("etcd") and shutil.which("etcdctl")
