"""What a disk that is full or read-only does, and a network that loses an address. All of it needs root, and
says so where that is missing.

Out: a disk that fails in the middle of a change, which tests/integration/license/disk.rs and tests/integration/state make with strace.
"""

import contextlib
import json
import ssl
import subprocess

from lib.appliance import Appliance, curl, free_port
from lib.authority import Authority
from lib.report import NotTried, expect


def possible(*command):
    return subprocess.run(command, capture_output=True).returncode == 0


def disk_full(binary):
    appliance = Appliance(binary)
    state = appliance.folder / "state"
    state.mkdir(mode=0o700)
    if not possible("mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(state)):
        raise NotTried("mounting a small disk needs root")
    try:
        with appliance:
            set_password = ("--insecure", "-H", "Content-Type: application/json", "-d")
            url = appliance.url("https", "/v1/security/adminpassword")
            about = appliance.url("https", "/v1/management/ping")

            def refused(why):
                answer = curl(*set_password, json.dumps({"password": "new"}), url)
                expect(answer.status == 500, f"{why}: {answer}")
                told = json.loads(answer.body)
                expect(told["success"] is False and told["message"], f"{why}: {answer}")
                answer = curl("--insecure", about)
                expect(answer.status == 200, f"{why}, and the old setting is not in force: {answer}")

            filler = state / "filler"
            with open(filler, "wb", buffering=0) as rest, no_room():
                while True:
                    rest.write(bytes(4096))
            refused("disk full")
            filler.unlink()
            answer = curl(*set_password, json.dumps({"password": "new"}), url)
            expect(answer.status == 200, f"with room again: {answer}")
            expect(curl("--insecure", about).status == 401, "the new password is not in force")
            expect(curl("--insecure", "-u", "admin:new", about).status == 200, "the new password does not fit")
    finally:
        subprocess.run(["umount", str(state)], check=True)
    return "500 with the reason, the old setting in force, then 200"


class no_room:
    """Ends its block at the first write that the disk refuses."""

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        return isinstance(error, OSError)


def disk_read_only(binary):
    with Appliance(binary, services={"speech": free_port()}) as appliance:
        state = appliance.folder / "state"
        if not possible("mount", "--bind", str(state), str(state)):
            raise NotTried("mounting a folder read-only needs root")
        subprocess.run(["umount", str(state)], check=True)
        owner = Owner(appliance)
        was, files = owner.sees(), contents(state)
        with read_only(state):
            for what, arguments in owner.changes.items():
                answer = owner.asks(*arguments)
                expect(answer.status == 500, f"{what}: {answer}")
                for words in ("Read-only file system", "mount the file system writable"):
                    expect(words in answer.body, f"{what}: no word of {words!r}: {answer}")
                expect(owner.sees() == was, f"{what} was refused and changed {was} to {owner.sees()}")
            health = owner.asks(appliance.url("https", "/v2/management/health"))
            expect("is mounted read-only" in health.body, f"the health says nothing of it: {health}")
        expect(contents(state) == files, "a file was changed all the same")

        appliance.stop()
        with read_only(state):
            command = [binary, "serve", "--config", str(appliance.folder / "config.json")]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
            told = ended.stderr.splitlines()[-1]
            expect(ended.returncode == 1 and "Read-only file system" in told, f"a start: {ended}")
            expect("listening" not in ended.stdout, f"it listened before it knew: {ended}")
        expect(contents(state) == files, "a start changed a file")
        appliance.start()
        expect(owner.sees() == was, f"after a start {owner.sees()}, before {was}")

        for what, arguments in owner.changes.items():
            answer = owner.asks(*arguments)
            expect(answer.status == 200, f"{what}, writable again: {answer}")
        owner.password = owner.next_password
        now = owner.sees()
        same = [what for what in was if now[what] == was[what]]
        expect(not same, f"writable again, and not in force: {same}")
    return f"{len(owner.changes)} changes: 500 with the reason, the old one in force, then 200; a start is refused"


class Owner:
    """An administrator with a license, a password and a certificate, who would like to have others."""

    password, next_password = "old password", "new password"

    def __init__(self, appliance):
        self.appliance = appliance
        authority = Authority(appliance.folder / "authority")
        old, new = authority.certify("old.example"), authority.certify("new.example")
        appliance.upload_certificate(old)
        appliance.set_password(self.password)
        license, https = "/v1/management/license", lambda path: appliance.url("https", path)
        self.changes = {
            "a certificate": (
                "-F", f"keyfile=@{new.key}", "-F", f"certfile=@{new.cert}", https("/v1/security/sslcertificate"),
            ),
            "HTTP off": ("-d", '{"enable_insecure_ports": false}', https("/v1/security/insecureports")),
            "a proxy": (
                "-d", '{"http_configuration": {"ip": "192.0.2.1", "port": "3128"}}', https(f"{license}/network"),
            ),
            "seconds for an engine": (
                "--unix-socket", str(appliance.folder / "run/usage.sock"),
                "-d", '{"session": "s", "seconds": 30}', "http://x/usage/reserve",
            ),
            "the license back": ("-X", "DELETE", https(f"{license}/offlineactivation")),
            "a password": ("-d", json.dumps({"password": self.next_password}), https("/v1/security/adminpassword")),
        }  # fmt: skip

    def asks(self, *arguments):
        return curl("--insecure", "-u", f"admin:{self.password}", *arguments)

    def sees(self):
        """What is in force."""
        port, url = self.appliance.port["https"], self.appliance.url
        read = self.asks(url("https", "/v1/management/license"))
        license = json.loads(read.body)
        return {
            "password": (self.password, read.status),
            "certificate": ssl.get_server_certificate(("127.0.0.1", port)),
            "plain HTTP": curl(url("management", "/v1/management/ping")).status,
            "license": (license["licensed"], license["transcription_secs_allowed"]),
            "proxy": self.asks(url("https", "/v1/management/license/network")).body,
        }


@contextlib.contextmanager
def read_only(folder):
    """The folder mounted over itself: the daemon's lock would keep the mount below from being read-only."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def listener_without_address(binary):
    address = spare_address()
    if address is None:
        raise NotTried("an address of our own on the loopback interface needs root and ip(8)")
    try:
        appliance = Appliance(binary)
        port = free_port()
        appliance.settings["listen"].append({"address": f"{address}:{port}", "serves": "management"})
        with appliance:
            there, here = f"http://{address}:{port}/v1/management/ping", appliance.url("http", "/v1/management/ping")
            expect(curl(there).status == 200, "not reached at first")
            subprocess.run(["ip", "addr", "del", f"{address}/32", "dev", "lo"], check=True)
            expect(curl(there, seconds=2).status == 0, "reached without an address")
            expect(curl(here).status == 200, "another listener is gone with it")
            subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
            expect(curl(there).status == 200, "not reached after its address came back")
    finally:
        subprocess.run(["ip", "addr", "del", f"{address}/32", "dev", "lo"], capture_output=True)
        subprocess.run(["ip", "route", "del", "unreachable", f"{address}/32"], capture_output=True)
    return "others go on, and it serves again when the address is back"


def spare_address():
    """An address that nobody had, of those for documentation, now on `lo`; None if that can't be."""
    for last in range(1, 255):
        address = f"198.51.100.{last}"
        # So that nothing leaves the machine while the address is away.
        if not possible("ip", "route", "add", "unreachable", f"{address}/32"):
            continue
        if possible("ip", "addr", "add", f"{address}/32", "dev", "lo"):
            return address
        subprocess.run(["ip", "route", "del", "unreachable", f"{address}/32"], capture_output=True)
    return None
