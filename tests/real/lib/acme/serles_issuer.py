"""The class Serles signs through: by openssl, with the requested names, which its own leaves out."""

import subprocess


class Backend:
    def __init__(self, settings):
        self.issuer = settings["issuer"]

    def sign(self, csr, subjectDN, subjectAltNames, email):
        command = [
            "openssl", "x509", "-req", "-copy_extensions", "copyall", "-days", self.issuer["days"],
            "-CA", self.issuer["certificate"], "-CAkey", self.issuer["key"], "-CAcreateserial",
        ]  # fmt: skip
        done = subprocess.run(command, input=csr, capture_output=True)
        if done.returncode != 0:
            return None, done.stderr.decode(errors="replace")
        with open(self.issuer["certificate"], "rb") as certificate:
            return (done.stdout + certificate.read()).decode(), None
