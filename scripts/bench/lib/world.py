"""Scratch folder, certificates, password, backend and the contenders that run."""

import shutil
import socket
import subprocess
import tempfile
from functools import cached_property
from importlib import import_module
from pathlib import Path

from lib.contender import PASSWORD, USER, output
from lib.patience import COMMAND_SECONDS, end
from lib.places import BACKEND, on_client_core


def peers(names):
    """{name: class} of the files in peers/, as far as they are installed here."""
    found = {name: import_module("peers." + name.replace("-", "_")).Peer for name in names}
    return {name: peer for name, peer in found.items() if peer.available()}


class World:
    def __init__(self, names, backend=(BACKEND,)):
        """`backend` is a command, to which a port is given."""
        self.scratch = Path(tempfile.mkdtemp(prefix="bench."))
        # nginx's and hitch's workers may run as somebody else.
        self.scratch.chmod(0o755)
        self.peers = peers(names)
        self.count, self.last_port, self.running, self.problems = 0, 20000, [], []
        self.certificates = {kind: self.certificate(kind) for kind in ("p256", "p256-new", "rsa")}
        self.backend_port = self.free_port()
        self.backend = subprocess.Popen(
            [*backend, str(self.backend_port)], preexec_fn=on_client_core
        )

    @cached_property
    def password(self):
        return output("htpasswd", "-nbBC", "12", USER, PASSWORD).strip()

    def certificate(self, kind):
        folder = self.scratch / kind
        folder.mkdir()
        key = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command = ["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", "30"]
        command += ["-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test"]
        command += ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
        subprocess.run(command, check=True, capture_output=True, timeout=COMMAND_SECONDS)
        both = (folder / "cert.pem").read_text() + (folder / "key.pem").read_text()
        (folder / "both.pem").write_text(both)
        return folder

    def free_port(self):
        """Below the range that the kernel gives to outgoing connections."""
        while self.last_port < 32767:
            self.last_port += 1
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", self.last_port))
                    return self.last_port
                except OSError:
                    pass
        raise RuntimeError("no port of 127.0.0.1 from 20001 to 32767 is free")

    def make(self, name, certificate="p256", password=False, connections=30000, cores=1):
        """A contender with a folder and a port of its own, not started. What it sets aside for so many
        connections shows in its memory."""
        self.count += 1
        folder = self.scratch / f"{self.count}.{name}"
        folder.mkdir()
        contender = self.peers[name](
            name,
            folder,
            self.free_port(),
            self.backend_port,
            self.certificates[certificate],
            connections,
            self.password if password else None,
        )
        contender.cores = cores
        return contender

    def start(
        self, name, certificate="p256", password=False, connections=30000, cores=1, **how
    ):
        contender = self.make(name, certificate, password, connections, cores).start(**how)
        self.running.append(contender)
        return contender

    def start_all(self, names, *arguments, **how):
        """Those that start; a section goes on without the others."""
        found = {}
        for name in names:
            try:
                found[name] = self.start(name, *arguments, **how)
            except RuntimeError as error:
                self.problems.append(str(error)[:400])
        return found

    def stop(self, *contenders, at_once=False):
        for contender in contenders:
            self.running.remove(contender)
            contender.stop(at_once)

    def who(self, can=None):
        """Names of those who can do it."""
        return [name for name, peer in self.peers.items() if can is None or can in peer.can]

    def close(self):
        self.stop(*list(self.running))
        end(self.backend)
        shutil.rmtree(self.scratch)
