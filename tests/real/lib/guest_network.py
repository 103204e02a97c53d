"""The network of a Debian guest, set through the management API: by systemd-networkd and by Debian's ifupdown.

In: a guest whose package is installed, and the command for its network. Out: what the image's own console does
(without_dhcp.py).
"""

import json
import time

from report import expect

# What QEMU's network leads to, also what its DHCP gives; and an address that nobody is led to.
LED_TO, NOBODY_LEADS_THERE = "10.0.2.15", "10.0.2.99"
HOST = "/v1/management/host"
COMMAND = "/usr/local/lib/applianced/network"
TRIAL_SECONDS, SLACK_SECONDS = 60, 60


class Networkd:
    """systemd runs the command: the unit may not change the network."""

    name, script = "systemd-networkd", "network-networkd"
    command = ["/usr/bin/systemd-run", "--quiet", "--pipe", "--wait", "--collect", COMMAND]
    kept = "/etc/systemd/network/05-applianced.network"
    by_dhcp = "DHCP=yes"

    @staticmethod
    def prepare(machine):
        image = f"[Match]\\nName=eth0\\n[Network]\\nAddress={LED_TO}/24\\n"
        machine.does(f"printf '{image}' >/etc/systemd/network/50-image.network && systemctl start systemd-networkd")


class Ifupdown:
    name, script = "Debian's ifupdown", "network-ifupdown"
    command = [COMMAND]
    kept = "/etc/network/applianced"
    by_dhcp = "inet dhcp"

    @classmethod
    def prepare(cls, machine):
        image = f"iface eth0 inet static\\n    address {LED_TO}\\n    netmask 255.255.255.0\\n"
        machine.does(f"printf '{image}' >{cls.kept}")


class Network:
    def __init__(self, machine, way, life):
        self.machine, self.way, self.life = machine, way, life

    def prepare(self, settings):
        machine, way = self.machine, self.way
        machine.does(f"install -D -m 755 /mnt/{way.script} {COMMAND}")
        way.prepare(machine)
        written = json.dumps(settings | {"commands": {"network": way.command}})
        machine.does(f"echo '{written}' >/etc/applianced/config.json")
        self.life.say(self.life.init.stop)
        self.life.starts()

    def post(self, path, body):
        answer = self.machine.curl("https", f"{HOST}/{path}", "-X", "POST", "-d", json.dumps(body))
        expect(answer.status == 200, answer)
        return answer

    def shown(self):
        return json.loads(self.machine.curl("https", f"{HOST}/setipaddress").body)

    def static(self, address, **rest):
        self.post("setipaddress", {"address": address, "netmask": "24", "gateway": "10.0.2.2", **rest})

    def in_use(self):
        """The change on trial; it answers at the address that it sets, which is the old one."""
        limit = time.monotonic() + SLACK_SECONDS
        while not ((answer := self.machine.curl("https", f"{HOST}/setipaddress")).status == 200
                   and (json.loads(answer.body)["trial"] or {}).get("in_use")):
            expect(time.monotonic() < limit, answer)
            time.sleep(0.2)

    def addresses(self):
        return self.machine.does("ip -4 -o address show dev eth0")

    def is_undone(self):
        self.static(NOBODY_LEADS_THERE)
        self.machine.reaches(f"ip -4 -o address show dev eth0 | grep -qF {NOBODY_LEADS_THERE}/", "the address was set")
        expect(f"{LED_TO}/" not in self.addresses(), self.addresses())
        wait = TRIAL_SECONDS + SLACK_SECONDS
        self.machine.reaches(f"ip -4 -o address show dev eth0 | grep -qF {LED_TO}/", "the old address came back", wait)
        expect(NOBODY_LEADS_THERE not in self.addresses(), self.addresses())
        self.life.is_up_again()
        limit = time.monotonic() + SLACK_SECONDS
        while "nobody confirmed" not in ((shown := self.shown())["error"] or ""):
            expect(time.monotonic() < limit, shown)
            time.sleep(0.2)

    def is_kept(self):
        self.static(LED_TO, hostname="box")
        self.in_use()
        expect(self.machine.does("cat /proc/sys/kernel/hostname").strip() == "box", "the host has its old name")
        self.post("confirmnetwork", {})
        expect(LED_TO in self.machine.does(f"cat {self.way.kept}"), "it was not kept")
        shown = self.shown()
        expect(shown["address"] == LED_TO and shown["gateway"] == "10.0.2.2" and not shown["trial"], shown)

    def comes_by_dhcp(self):
        self.post("setdhcp", {})
        self.in_use()
        self.post("confirmnetwork", {})
        expect(self.way.by_dhcp in self.machine.does(f"cat {self.way.kept}"), "it was not kept")
        self.machine.reaches(f"ip -4 -o address show dev eth0 | grep -qF {LED_TO}/", "the address is there")

    def proofs(self):
        """Sentences, and what proves each, in order."""
        yield "undoes a wrong address by itself after a minute", self.is_undone
        yield "keeps one that is confirmed, and the name of the host", self.is_kept
        yield "keeps DHCP that is confirmed", self.comes_by_dhcp
