"""A virtual machine with the appliance's image: its serial line as a person uses it, its ports, its power.

In: build, boot, menus, curl from outside, the power cut, its disk while it is off. Out: what is expected.
"""

import hashlib
import os
import pathlib
import re
import signal
import ssl
import subprocess
import threading
import time

from appliance import curl, free_port

SCRIPTS = pathlib.Path(__file__).resolve().parents[3] / "scripts/vm"
# Emulated on a busy machine.
BOOT_SECONDS = 120
ANSWER_SECONDS = 90
PORTS = {"http": 80, "https": 443, "management": 8080}
MENU = "Choose 0 to "


def build(folder, trust):
    """Kernel, initramfs and a fresh disk in `folder`; what the script said last."""
    done = subprocess.run([SCRIPTS / "build", folder, trust], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"scripts/vm/build: {done.stdout}{done.stderr}")
    return done.stdout.splitlines()[-1].split(": ", 1)[1]


def files_in(image):
    """The names in the initramfs, and what is in its regular files, one after the other."""
    packed = subprocess.run(["gzip", "-dc", image / "initramfs"], capture_output=True, check=True).stdout
    files, at = {}, 0
    while True:  # the newc format of cpio(5)
        fields = [int(packed[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = fields[6], fields[11]
        name = packed[at + 110 : at + 110 + name_size - 1].decode()
        begin = (at + 110 + name_size + 3) // 4 * 4
        at = (begin + size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return files
        files[name] = packed[begin : begin + size]


class Guest:
    """One machine; `air_gapped` lets nothing out of it, and what is forwarded in."""

    def __init__(self, image, folder, uuid):
        self.image, self.uuid = image, uuid
        folder.mkdir()
        self.disk = folder / "disk"
        subprocess.run(["cp", "--sparse=always", image / "disk", self.disk], check=True)
        self.port = {name: free_port() for name in PORTS}
        self.process = None

    def boot(self, *flags, network=None):
        """Switches it on, with these flags of QEMU's beside the usual ones, and waits for the first menu. `network`
        is another than QEMU's own, as scripts/vm/machine takes it."""
        network = network or ",".join(
            ["restrict=on"] + [f"hostfwd=tcp:127.0.0.1:{self.port[name]}-:{PORTS[name]}" for name in PORTS]
        )
        self.switched_on = time.monotonic()
        self.process = subprocess.Popen(
            [SCRIPTS / "machine", self.image, self.disk, self.uuid, network]
            + ["-no-reboot", "-monitor", "none", "-serial", "stdio", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
        )
        self.shown, self.read_to = "", 0
        self.changed = threading.Condition()
        threading.Thread(target=self._collect, args=(self.process,), daemon=True).start()
        self._wait(MENU, BOOT_SECONDS)

    def _collect(self, process):
        while piece := os.read(process.stdout.fileno(), 65536):
            with self.changed:
                self.shown += piece.decode(errors="replace").replace("\r", "")
                self.changed.notify_all()

    def _wait(self, text, seconds):
        with self.changed:
            found = self.changed.wait_for(lambda: text in self.shown[self.read_to :], seconds)
            if not found:
                raise AssertionError(f"the console never showed {text!r}: …{self.shown[-1500:]}")

    def shows(self, text, seconds=ANSWER_SECONDS):
        """Waits for `text` after what was read before; everything up to it."""
        self._wait(text, seconds)
        end = self.shown.index(text, self.read_to) + len(text)
        piece, self.read_to = self.shown[self.read_to : end], end
        return piece

    def type(self, keys):
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

    def answer(self, prompt, line):
        piece = self.shows(prompt)
        self.type(line + "\r")
        return piece

    def choose(self, entry):
        """An entry of the menu by its words; the screen it stood on."""
        screen = self.shows(MENU)
        self.shows(": ")
        numbers = re.findall(rf"^ +(\d+)  {re.escape(entry)}(?![\w ]*certificate)", screen, re.M)
        if not numbers:
            raise AssertionError(f"no entry {entry!r} in {screen}")
        self.type(numbers[-1] + "\r")
        return screen

    def go_on(self):
        return self.answer("Press Enter to go on: ", "")

    def url(self, port, path):
        return f"{'https' if port == 'https' else 'http'}://127.0.0.1:{self.port[port]}{path}"

    def curl(self, *arguments):
        return curl("--insecure", *arguments, seconds=ANSWER_SECONDS)

    def fingerprint(self):
        """Of the certificate in use."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.port["https"]), timeout=ANSWER_SECONDS)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    def cut_power(self):
        """No time for anything."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def ends(self):
        """Waits until it has switched itself off."""
        process, self.process = self.process, None
        try:
            code = process.wait(ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("it did not switch itself off") from None
        if code != 0:
            raise AssertionError(f"QEMU ended with {code}")

    def file(self, path):
        """A file of its disk, while it is off after a shutdown."""
        done = subprocess.run(
            ["debugfs", "-R", f"cat {path}", self.disk],
            capture_output=True,
            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
        )
        if not done.stdout:
            raise AssertionError(f"{path} is not on the disk: {done.stderr}")
        return done.stdout
