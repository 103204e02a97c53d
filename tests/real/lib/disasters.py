"""What a full disk and a broken network do. Both need root, and say so where it is missing.

Out: a disk that turns read-only or fails to sync, which tests/license/disk.rs and tests/state make with strace.
"""

import json
import subprocess

from lib.appliance import Appliance, curl, free_port
from lib.report import expect

DUMMY, ADDRESS = f"appl{free_port() % 10_000}", "198.51.100.7"


def possible(*command):
    return subprocess.run(command, capture_output=True).returncode == 0


def disk_full(binary):
    appliance = Appliance(binary)
    state = appliance.folder / "state"
    state.mkdir(mode=0o700)
    if not possible("mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(state)):
        return "not tried: mounting a small disk needs root"
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


def listener_without_address(binary):
    if not possible("ip", "link", "add", DUMMY, "type", "dummy"):
        return "not tried: a network interface of our own needs root and the dummy driver"
    try:
        subprocess.run(["ip", "addr", "add", f"{ADDRESS}/32", "dev", DUMMY], check=True)
        subprocess.run(["ip", "link", "set", DUMMY, "up"], check=True)
        appliance = Appliance(binary)
        port = free_port()
        appliance.settings["listen"].append({"address": f"{ADDRESS}:{port}", "serves": "management"})
        with appliance:
            there, here = f"http://{ADDRESS}:{port}/v1/management/ping", appliance.url("http", "/v1/management/ping")
            expect(curl(there).status == 200, "not reached at first")
            subprocess.run(["ip", "addr", "del", f"{ADDRESS}/32", "dev", DUMMY], check=True)
            expect(curl(there, seconds=2).status == 0, "reached without an address")
            expect(curl(here).status == 200, "another listener is gone with it")
            subprocess.run(["ip", "addr", "add", f"{ADDRESS}/32", "dev", DUMMY], check=True)
            expect(curl(there).status == 200, "not reached after its address came back")
    finally:
        subprocess.run(["ip", "link", "del", DUMMY], capture_output=True)
    return "others go on, and it serves again when the address is back"
