"""What every contender is: a program that serves HTTPS on one port, on one core or two.

It passes `/api/...` on to the backend over kept connections, streams bodies both ways, speaks TLS 1.2
and 1.3 with X25519 and AES-GCM (in 1.3 also ChaCha20-Poly1305), gives session tickets as it does by default, and writes no access
log. What else it can do, `can` tells:

  own         answers `own` itself, without the backend
  password    asks for user and password on `/guarded/...`, by the bcrypt line in `folder/htpasswd`
  websocket   passes `/api/ws` on as a WebSocket
"""

import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lib.patience import COMMAND_SECONDS, KILLED_SECONDS, STOP_SECONDS
from lib.places import LOAD, on_server_cores

# The password behind the bcrypt line.
USER, PASSWORD = "admin", "correct horse"


def output(*command):
    """What a command says, on either stream."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    return (done.stdout + done.stderr).strip()


def answers(port, path, *more):
    """One HTTPS GET: is it answered with 200? Asked by the load generator, because Python's ssl would
    share the pages of OpenSSL with contenders and make them look smaller."""
    command = [LOAD, "check", "--port", str(port), "--path", path, *more]
    try:
        done = subprocess.run(command, stderr=subprocess.DEVNULL, timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def parents():
    """{process: the process it comes from}, of all that are there."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name before it, in parentheses, may hold anything.
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # It has ended.
    return found


def family(first):
    """A process and all that come from it. By each one's parent, not by the children of its threads:
    those of a thread that ends meanwhile are with another one then, which was asked before."""
    above = parents()
    found = [first] if first in above else []
    for pid in found:
        found += [child for child, parent in above.items() if parent == pid]
    return found


def kill(how, pid):
    try:
        how(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Contender:
    can = {"own", "password", "websocket"}
    own = "/own"
    program = "?"
    note = ""
    cores = 1  # and workers or threads, where it has such a setting
    descriptors = 1  # that an idle connection takes

    def __init__(self, name, folder, port, backend, certificate, connections, password=None):
        self.name, self.folder, self.port, self.backend = name, Path(folder), port, backend
        self.password = password  # the htpasswd line, or None
        self.connections = connections  # as many, to both sides together, must be possible
        self.process = None
        self.use(certificate)

    @classmethod
    def available(cls):
        return shutil.which(cls.program) is not None

    @classmethod
    def holds(cls, connections):
        """Whether the limit of open files allows so many, and some for everything else."""
        return cls.descriptors * connections + 500 <= resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    @classmethod
    def version(cls):
        return output(cls.program, "--version")

    @classmethod
    def files(cls):
        """All that must be installed for it to run: the program and its shared libraries."""
        program = os.path.realpath(shutil.which(cls.program))
        words = [word for line in output("ldd", program).splitlines() for word in line.split()]
        return {program} | {os.path.realpath(word) for word in words if word.startswith("/")}

    def configure(self):
        """Writes the settings."""

    def command(self):
        """Runs in the foreground."""
        raise NotImplementedError

    def use(self, certificate):
        """Puts chain and key of a folder in place; each file is replaced whole."""
        for name in ("cert.pem", "key.pem", "both.pem"):
            shutil.copy(certificate / name, self.folder / f".{name}")
            os.replace(self.folder / f".{name}", self.folder / name)

    def reload(self):
        """The certificate's files are new."""
        os.kill(self.process.pid, signal.SIGHUP)

    # What follows is the same for all.

    def path(self):
        """A path that it answers with as little help as it can."""
        return self.own if "own" in self.can else "/api/small"

    def start(self, wrap=None, first=lambda: None, ready=answers):
        """Runs it until it answers, which `ready` tells of a port and a path; behind the command that
        `wrap` gives for a folder, if there is one, and with `first` called in its process before."""

        def prepare():
            on_server_cores(self.cores)
            first()

        self.configure()
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [*(wrap(self.folder) if wrap else ()), *map(str, self.command())],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            cwd=self.folder,
            preexec_fn=prepare,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < deadline:
            if ready(self.port, "/api/small"):
                return self
            time.sleep(0.01)
        self.stop()
        said = (self.folder / "log").read_text(errors="replace")[-1000:]
        raise RuntimeError(f"{self.name} did not start: {said}")

    def pids(self):
        """Its process and all that come from it."""
        return family(self.process.pid)

    def pss(self):
        """Memory of all its processes in KiB, shared pages divided among those who share them."""
        lines = [line for pid in self.pids() for line in open(f"/proc/{pid}/smaps_rollup")]
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    def stop(self, at_once=False):
        left = self.pids()
        if not at_once:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        kill(os.killpg, self.process.pid)
        for pid in left:
            kill(os.kill, pid)
        try:
            self.process.wait(KILLED_SECONDS)
        except subprocess.TimeoutExpired:
            pid = self.process.pid
            said = f"{self.name} (process {pid}) is still there {KILLED_SECONDS} s after SIGKILL"
            raise RuntimeError(f"{said}: /proc/{pid}/status tells what it waits for") from None
        finally:
            self.log.close()
