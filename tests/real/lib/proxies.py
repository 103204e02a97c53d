"""Squid and tinyproxy as Debian packages them, on loopback, each in a folder of its own.

In: the packaged settings with port and paths changed, Basic authentication, a name only the proxy
knows. Out: what goes through them. CONNECT stays as the package has it.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from lib.appliance import free_port, temporary_folder

# What a proxy may take to start or to end, or to write its log, on a busy machine.
SECONDS = 20


def until(condition, what, seconds=SECONDS):
    """Waits for `condition` and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Proxy:
    """`with Squid(user, password) as proxy: …`; `port` and the log stay over a restart."""

    def __init__(self, user=None, password=None):
        self.user, self.password = user, password
        self.port = free_port()
        self.process = None

    def __enter__(self):
        self.temporary = temporary_folder()
        self.folder = self.temporary.__enter__()
        self.log_file = self.folder / "access.log"
        try:
            self.config = self.folder / "proxy.conf"
            self.config.write_text(self.settings())
            if os.getuid() == 0:  # both give up root after their start
                for path in (self.folder, *self.folder.iterdir()):
                    shutil.chown(path, self.ACCOUNT)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        self.temporary.__exit__(None, None, None)

    def start(self):
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

        def up():
            if self.process.poll() is not None:
                said = (self.folder / "output").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.NAME} did not start: {said}")
            return listens(self.port)

        until(up, f"{self.NAME} listens")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def requests(self):
        """Method and target of every request in the log."""
        return re.findall(r"\b([A-Z]{3,7}) (\S+:\S+)", self.log())

    def configuration(self, port=int, password=None):
        """The body for license/network; `port` says whether it is a string or a number."""
        settings = {"ip": "127.0.0.1", "port": port(self.port)}
        if self.user:
            settings |= {"user": self.user, "password": password or self.password}
        return {"http_configuration": settings}


class Squid(Proxy):
    """`knows` is a host name that this proxy alone can look up: 127.0.0.1."""

    NAME, ACCOUNT, REFUSES = "Squid", "proxy", 407
    PACKAGED = pathlib.Path("/etc/squid/squid.conf")

    def __init__(self, user=None, password=None, knows=None):
        super().__init__(user, password)
        self.knows = knows

    def command(self):
        return [shutil.which("squid", path="/usr/sbin:/usr/bin"), "-N", "-f", str(self.config)]

    def settings(self):
        text = self.PACKAGED.read_text()
        for rule in (r"^http_access deny !Safe_ports", r"^http_access deny CONNECT !SSL_ports"):
            if not re.search(rule, text, re.M):
                raise RuntimeError(f"the packaged squid.conf has no rule {rule}")
        # Later versions refuse targets on loopback, where all of this is.
        text = re.sub(r"^http_access deny to_(localhost|linklocal)", r"#\g<0>", text, flags=re.M)
        text = re.sub(r"^http_port .*$", f"http_port 127.0.0.1:{self.port}", text, flags=re.M)
        text = re.sub(r"^coredump_dir .*$", f"coredump_dir {self.folder}", text, flags=re.M)
        if self.user:
            text = text.replace("http_access allow localhost\n", "http_access allow localhost known\n")
            text = self.authentication() + text
        if self.knows:
            hosts = self.folder / "hosts"
            hosts.write_text(f"127.0.0.1 localhost {self.knows}\n")
            text += f"hosts_file {hosts}\n"
        return text + (
            f"pid_filename {self.folder}/pid\naccess_log stdio:{self.log_file}\n"
            f"cache_log {self.folder}/cache.log\n"
            # A machine without a name, or with a million file descriptors, is no matter of this test.
            "visible_hostname localhost\nmax_filedescriptors 1024\npinger_enable off\n"
            "shutdown_lifetime 0 seconds\n"
        )

    def authentication(self):
        passwords = self.folder / "passwords"
        command = ["htpasswd", "-bcm", str(passwords), self.user, self.password]
        subprocess.run(command, check=True, capture_output=True)
        helper = "/usr/lib/squid/basic_ncsa_auth"
        return f"auth_param basic program {helper} {passwords}\nacl known proxy_auth REQUIRED\n"


class Tinyproxy(Proxy):
    """`upstream` is the proxy it asks for the hosts of `domain`: it has no host names of its own."""

    # It says 407 only to those who come without a password, and 401 to a wrong one.
    NAME, ACCOUNT, REFUSES = "tinyproxy", "tinyproxy", 401
    PACKAGED = pathlib.Path("/etc/tinyproxy/tinyproxy.conf")

    def __init__(self, user=None, password=None, upstream=None, domain=None):
        super().__init__(user, password)
        self.upstream, self.domain = upstream, domain

    def command(self):
        return [shutil.which("tinyproxy", path="/usr/bin:/usr/sbin"), "-d", "-c", str(self.config)]

    def settings(self):
        text = self.PACKAGED.read_text()
        for name, value in {
            "Port": self.port, "LogFile": f'"{self.log_file}"', "PidFile": f'"{self.folder}/pid"',
        }.items():  # fmt: skip
            text = re.sub(f"^{name} .*$", f"{name} {value}", text, flags=re.M)
        if self.user:
            text += f"BasicAuth {self.user} {self.password}\n"
        if self.upstream:
            text += f'Upstream http 127.0.0.1:{self.upstream.port} "{self.domain}"\n'
        return text
