"""Our release binary."""

import json
import os
import shutil
from pathlib import Path

from lib.contender import Contender, output
from lib.places import binary


class Peer(Contender):
    own = "/v1/management/ping"
    program = str(binary())
    descriptors = 2  # half of them are for services
    note = "one static binary; own answer: `GET /v1/management/ping`"

    @classmethod
    def version(cls):
        return output(cls.program, "--version").split()[-1]

    @classmethod
    def files(cls):
        return {cls.program}

    def use(self, certificate):
        state = self.folder / "state"
        for folder in (state, state / "tls"):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.place("tls/uploaded.pem", (certificate / "both.pem").read_text())

    def place(self, name, text):
        """A file of the state folder, replaced whole."""
        file = self.folder / "state" / name
        new = file.with_name(f".{file.name}.new")
        new.write_text(text)
        new.chmod(0o600)
        os.replace(new, file)

    def configure(self):
        service = {"address": f"127.0.0.1:{self.backend}", "websocket": True}
        settings = {
            "state_dir": str(self.folder / "state"),
            "run_dir": str(self.folder / "run"),
            "listen": [{"address": f"127.0.0.1:{self.port}", "serves": "all", "tls": True}],
            "https_port": self.port,
            "access_log": False,
            "services": {
                "open": {**service, "paths": ["/api/"], "auth": "none"},
                "guarded": {**service, "paths": ["/guarded/"], "auth": "admin"},
            },
        }
        (self.folder / "config.json").write_text(json.dumps(settings, indent=1))
        if self.password:
            self.place("admin.htpasswd", self.password + "\n")

    def command(self):
        return [self.program, "serve", "--config", self.folder / "config.json"]

    def forget(self):
        """As on the first boot ever: no certificate, no state at all."""
        shutil.rmtree(self.folder / "state")
