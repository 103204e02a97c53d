"""hitch ends TLS and knows no HTTP: each TLS connection has a connection to the backend."""

from lib.contender import Contender, output

SETTINGS = """
frontend = "[127.0.0.1]:%(port)d"
backend = "[127.0.0.1]:%(backend)d"
pem-file = "%(folder)s/both.pem"
ocsp-dir = ""
workers = %(cores)d
backlog = 4096
user = "nobody"
group = "nogroup"
tls-protos = TLSv1.2 TLSv1.3
daemon = off
log-level = 0
"""


class Peer(Contender):
    can = {"websocket"}
    program = "hitch"
    descriptors = 2
    note = "ends TLS only, one worker; each connection has its own to the backend"

    @classmethod
    def version(cls):
        return output(cls.program, "--version").split()[-1]

    @classmethod
    def holds(cls, connections):
        """One address has some 28,000 ports for connections to the backend."""
        return super().holds(connections) and connections <= 25000

    def configure(self):
        values = {"port": self.port, "backend": self.backend, "folder": self.folder}
        values["cores"] = self.cores
        (self.folder / "hitch.conf").write_text(SETTINGS % values)

    def command(self):
        return [self.program, "--config", self.folder / "hitch.conf"]
