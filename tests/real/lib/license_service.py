"""The vendor's side: a license authority that serves on loopback."""

import os
import subprocess

from lib.appliance import free_port, temporary_folder
from lib.proxies import SECONDS, listens, until


class LicenseService:
    """`with LicenseService(binary) as service: …`; `binary` is the appliance's, the authority beside it."""

    def __init__(self, binary, *flags):
        """`flags` of `serve` in addition."""
        self.flags = flags
        self.program = os.path.join(os.path.dirname(os.path.abspath(binary)), "license-authority")
        self.port = free_port()

    def __enter__(self):
        self.temporary = temporary_folder()
        self.folder = self.temporary.__enter__()
        self.say("init", "--customer", "4949")
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", "--dir", self.folder / "books", "--listen", f"127.0.0.1:{self.port}",
                 *(flag.replace("FOLDER", str(self.folder)) for flag in self.flags)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            until(lambda: listens(self.port), "the license authority listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.temporary.__exit__(None, None, None)

    def say(self, verb, *arguments):
        """Runs one command of the authority."""
        command = [self.program, verb, "--dir", str(self.folder / "books"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"license-authority {verb}: {done.stderr.strip()}")
        return done.stdout.strip()

    def sell(self, *more):
        """A license of 500 hours; its code."""
        return self.say(
            "create", "--secs", "1800000", "--cache", "3600", "--expires", "2097-10-16T12:26:37Z", *more
        )

    def sign(self, certificate):
        request = self.folder / "request.txt"
        request.write_text(certificate)
        return self.say("sign", str(request))

    def redeem(self, certificate):
        """What the vendor is told of a return certificate."""
        file = self.folder / "return.txt"
        file.write_text(certificate)
        return self.say("redeem", str(file))

    def settings(self, host="127.0.0.1"):
        """Of an appliance that asks this authority under this name."""
        url = f"http://{host}:{self.port}/"
        return {"authority_url": url, "trust_file": str(self.folder / "books/trust.json")}
