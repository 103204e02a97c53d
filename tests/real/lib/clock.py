"""The clock of a whole machine is set: a year back, ten years on, and right again.

In: a shell of root's in a guest, which its image does not have, and what must hold whatever the clock says.
Out: the license under clocks of its own (src/license/state/clock.rs).
"""

import gzip
import http.client
import json
import re
import socket
import ssl
import subprocess
import time

from guest import ANSWER_SECONDS, SCRIPTS
from report import expect

YEAR = 365 * 86_400
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|warning|error|security|access) \S")


def with_root_shell(image, folder):
    """The same image with a shell on the second serial line: the kernel unpacks one archive after the other."""
    folder.mkdir()
    for name in ("kernel", "disk"):
        (folder / name).symlink_to(image / name)
    lines = (SCRIPTS / "guest/inittab").read_bytes() + b"ttyS1::respawn:/bin/sh\n"
    archive = entry("etc/inittab", 0o100644, lines) + entry("TRAILER!!!", 0, b"")
    initramfs = (image / "initramfs").read_bytes()
    (folder / "initramfs").write_bytes(initramfs + gzip.compress(archive, mtime=0))
    return folder


def entry(name, mode, data):
    """A file in the newc format of cpio(5)."""
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


class Root:
    """The shell."""

    def __init__(self, path):
        self.line = socket.socket(socket.AF_UNIX)
        self.line.settimeout(ANSWER_SECONDS)
        self.line.connect(str(path))

    def does(self, command):
        """What it printed; it must come to a good end."""
        self.line.sendall(f"{command}; echo ended:$?:\n".encode())
        shown = ""
        while not (end := re.search(r"ended:(\d+):", shown)):
            shown += self.line.recv(4096).decode(errors="replace")
        expect(end[1] == "0", f"{command}: {shown}")
        return shown

    def set_clock(self, seconds):
        """So far from what is right."""
        self.does(f"date -u -s @{int(time.time() + seconds)}")


class Guarded:
    """A guest with a license for five years, and connections that were there before."""

    def __init__(self, guest, vendor, root):
        self.guest, self.vendor, self.root = guest, vendor, root
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5 * YEAR))
        self.code = vendor.say("create", "--offline-mode", "--secs", "1800000", "--cache", "3600", "--expires", end)
        self.certify()
        self.license = self.status()
        expect(self.license["licensed"] is True, self.license)
        context = ssl._create_unverified_context()
        self.kept = http.client.HTTPSConnection(
            "127.0.0.1", guest.port["https"], timeout=ANSWER_SECONDS, context=context
        )
        # Says nothing, and is hung up on after 10 s, however the clock is set meanwhile.
        self.silent = socket.create_connection(("127.0.0.1", guest.port["https"]), ANSWER_SECONDS)
        # Half a head: it has 20 s for the rest, and no fewer because of years that went by.
        self.half = socket.create_connection(("127.0.0.1", guest.port["http"]), ANSWER_SECONDS)
        self.half.sendall(b"GET /v1/management/ping HTTP/1.1\r\nHost: x\r\nX: ")
        self.opened = time.monotonic()

    def call(self, method, path, body=None):
        path = f"/v1/management/license{path}"
        words = ("-d", json.dumps(body)) if body else ()
        answer = self.guest.curl("-X", method, *words, self.guest.url("https", path))
        expect(answer.status == 200, f"{method} {path}: {answer}")
        return json.loads(answer.body)

    def status(self):
        return self.call("GET", "")

    def certify(self):
        """A license certificate, asked for and applied."""
        asked = self.call("POST", "/offlineactivation", {"license": self.code})["certificate"]
        signed = self.vendor.say("sign", "-", text=asked)
        return self.call("PUT", "/offlineactivation", {"license": self.code, "certificate": signed})

    def goes_on(self):
        """Requests are answered, on a connection that was there before too."""
        before = self.kept.sock
        self.kept.request("GET", "/v1/management/ping")
        answer = self.kept.getresponse()
        expect(answer.status == 200 and b"reply" in answer.read(), f"on the kept connection: {answer.status}")
        expect(before in (None, self.kept.sock), "the kept connection was closed")
        answer = self.guest.curl(self.guest.url("http", "/v1/management/ping"))
        expect(answer.status == 200, answer)

    def settles(self, wanted):
        """Until new speech gets this status: 403 without a license, else 502, for there is no engine. The
        daemon looks at the clock once a minute, or when it is asked to look for news."""
        limit = time.monotonic() + ANSWER_SECONDS
        while True:
            self.guest.curl("-X", "DELETE", self.guest.url("https", "/v1/management/services"))
            got = self.guest.curl("-d", "{}", self.guest.url("https", "/v2/jobs")).status
            if got == wanted:
                break
            expect(time.monotonic() < limit, f"new speech still gets {got}")
        return self.status()


def clock_jumps(guarded):
    """The license is not longer for it, and back as soon as it is renewed."""
    guarded.goes_on()
    guarded.root.set_clock(-YEAR)
    guarded.goes_on()
    now = guarded.settles(502)
    expect(now == guarded.license, f"a year back: {now}, before {guarded.license}")

    guarded.root.set_clock(10 * YEAR)
    if time.monotonic() - guarded.opened < 15:  # a busy machine may have used up the 20 s
        guarded.half.sendall(b"y\r\n\r\n")
        expect(b" 200 " in guarded.half.recv(100), "a head begun before ten years went by was refused")
    guarded.goes_on()
    now = guarded.settles(403)
    expect(now["licensed"] is False and "expired" in now["status"], f"ten years on: {now}")
    guarded.settles(403)  # a second look, from which on the daemon believes in that year

    guarded.root.set_clock(0)
    guarded.goes_on()
    at_once = guarded.status()["licensed"]
    guarded.certify()
    now = guarded.settles(502)
    expect(now == guarded.license, f"right again and renewed: {now}, before {guarded.license}")
    expect(guarded.silent.recv(1) == b"", "a silent connection got an answer")
    return f"{log_lines(guarded)} lines of log; licensed again {'at once' if at_once else 'once renewed'}"


def log_lines(guarded):
    lines = []
    for name in ("gate", "management"):
        answer = guarded.guest.curl(guarded.guest.url("https", f"/v1/management/logs/{name}?count=-1"))
        lines += json.loads(answer.body)["log_lines"].splitlines()
    odd = [line for line in lines if not LINE.match(line)]
    expect(not odd, f"lines of the log: {odd}")
    years = sorted({int(line[:4]) for line in lines})
    expect(len(years) >= 3, f"no line of each year: {years}")
    return len(lines)
