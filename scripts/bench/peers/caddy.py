"""Caddy with one processor for Go (GOMAXPROCS), by a Caddyfile."""

import subprocess

from lib.contender import Contender, output
from lib.patience import COMMAND_SECONDS

SETTINGS = """
{
    admin unix/%(folder)s/admin
    auto_https off
    servers {
        protocols h1
    }
    log {
        level ERROR
    }
}
https://:%(port)d {
    bind 127.0.0.1
    tls %(folder)s/cert.pem %(folder)s/key.pem
    handle /own {
        header Content-Type application/json
        respond `{"status":"ok"}` 200
    }
    handle {
        reverse_proxy 127.0.0.1:%(backend)d {
            transport http {
                keepalive 300s
                keepalive_idle_conns_per_host 1024
                compression off
            }
        }
    }
}
"""


class Peer(Contender):
    can = {"own", "websocket"}
    program = "caddy"
    descriptors = 2
    note = "Go's TLS, GOMAXPROCS=1, 1,024 kept connections to the backend; left out of the passwords"

    @classmethod
    def version(cls):
        return output(cls.program, "version").split()[0]

    def configure(self):
        values = {"port": self.port, "backend": self.backend, "folder": self.folder}
        (self.folder / "Caddyfile").write_text(SETTINGS % values)

    def reload(self):
        """Without --force it would keep a certificate whose file's name is the same."""
        address = f"unix/{self.folder}/admin"
        command = ["caddy", "reload", "--force", "--address", address, "--config", "Caddyfile"]
        subprocess.run(
            command, cwd=self.folder, check=True, capture_output=True, timeout=COMMAND_SECONDS
        )

    def command(self):
        settings = [f"GOMAXPROCS={self.cores}", f"HOME={self.folder}"]
        return ["env", *settings, self.program, "run", "--config", self.folder / "Caddyfile"]
