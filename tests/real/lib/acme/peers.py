"""ACME servers that others wrote, each on port 443 of a host of its own: acme2certifier and Serles.

In: a root that appliances are told to trust, which also signs what the servers issue. Out: what they did.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

from lib.acme.pki import Issuer
from lib.appliance import temporary_folder
from lib.proxies import SECONDS, until

# What `lib` is in, for the plug-in.
REAL = pathlib.Path(__file__).resolve().parents[2]


class Peer:
    """`with Acme2certifier(host, root) as peer: …`; `directory` is where ACME begins."""

    def __init__(self, host, root):
        self.host, self.root = host, root
        self.directory = f"https://{host.name}{self.DIRECTORY}"

    def __enter__(self):
        self.temporary = temporary_folder()
        self.folder = self.temporary.__enter__()
        try:
            self.issuer = Issuer(self.folder, f"{self.NAME}-issuer", self.root)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        certificate, key = self.root.server(self.host)
        addresses = [word for address in self.host.sockets(443) for word in ("--bind", address)]
        # Threads, since a validation may take as long as the appliance's answer.
        command = [
            sys.executable, "-m", "gunicorn", "--threads", "8", "--certfile", certificate, "--keyfile", key,
            "--access-logfile", "-", *addresses, self.APPLICATION,
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(REAL), "HOME": str(self.folder), **self.settings()}
        self.output = self.folder / "output"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        until(lambda: "Booting worker" in self._said(), f"{self.NAME} listens")

    def _said(self):
        said = self.output.read_text(errors="replace")
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.NAME} did not start: {said[-2000:]}")
        return said

    def requests(self):
        """Method and path of every request so far."""
        return re.findall(r'"([A-Z]{3,7}) (\S+) HTTP/', self.output.read_text(errors="replace"))

    def __exit__(self, *_):
        if getattr(self, "process", None) is not None:
            self.process.terminate()
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.temporary.__exit__(None, None, None)


class Acme2certifier(Peer):
    """Wants an external account; validates in the background, and has renewal information (RFC 9773)."""

    NAME, DIRECTORY = "acme2certifier", "/directory"
    APPLICATION = "acme2certifier.share.acme2certifier_wsgi:application"
    ACCOUNT = {"kid": "appliances", "hmac_key": "cGVlcnMga25vdyBhIHNlY3JldCBvZiAzMiBieXRlcyE"}

    def settings(self):
        (self.folder / "issued").mkdir()
        accounts = {self.ACCOUNT["kid"]: self.ACCOUNT["hmac_key"]}
        (self.folder / "accounts.json").write_text(json.dumps(accounts))
        (self.folder / "acme_srv.cfg").write_text(f"""
[DEFAULT]
debug: False
[CAhandler]
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_key: {self.issuer.key_file}
issuing_ca_cert: {self.issuer.pem}
issuing_ca_crl: {self.folder}/none.crl
ca_cert_chain_list: ["{self.root.pem}"]
cert_save_path: {self.folder}/issued
cert_validity_days: 30
[DBhandler]
handler: wsgi
dbfile: {self.folder}/books.db
[EABhandler]
eab_handler_module: acme2certifier.eabhandlers.json_handler
key_file: {self.folder}/accounts.json
""")
        return {
            "ACME_SRV_CONFIGFILE": str(self.folder / "acme_srv.cfg"),
            "ACME2CERTIFIER_BASE_DIR": str(self.folder),
        }


class Serles(Peer):
    """Validates before it answers to the challenge; issues through a plug-in, serles_issuer.py."""

    NAME, DIRECTORY = "Serles", "/directory"
    APPLICATION = "serles:create_app()"
    ACCOUNT = None

    def settings(self):
        (self.folder / "serles.ini").write_text(f"""
[serles]
database = sqlite:///{self.folder}/books.db
backend = lib.acme.serles_issuer:Backend
subjectNameTemplate = CN={{SAN[0]}}
allowIpIdentifiers = true
[issuer]
certificate = {self.issuer.pem}
key = {self.issuer.key_file}
days = 30
""")
        return {"CONFIG": str(self.folder / "serles.ini")}
