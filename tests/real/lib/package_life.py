"""The life of the two packages in a Debian guest: installed, started, confined, killed, upgraded, stopped, purged.

In: a machine of debian.py with the packages in /mnt. Out: how an init system says it (Systemd, OpenRC).
"""

import json
import re
import time

from report import expect

RATING = 2.0
# Emulated, a first start makes a key.
UP_SECONDS = 60
SETTINGS = {"user": "applianced", "commands": {"shutdown": ["/usr/bin/systemctl", "poweroff"]}}
PING = "/v1/management/ping"
STATE = "/var/lib/applianced"
# What the unit leaves to root until it has become the user: CAP_SETGID, SETUID, SETPCAP, NET_BIND_SERVICE.
STARTING_RIGHTS = (1 << 6) | (1 << 7) | (1 << 8) | (1 << 10)


class Systemd:
    name = "systemd"
    start, stop, reload = "systemctl start {}", "systemctl stop {}", "systemctl reload {}"
    status, log = "systemctl status --no-pager {}", "journalctl --no-pager -u {}"
    enabled = "systemctl is-enabled --quiet {}"


class OpenRC:
    name = "OpenRC"
    start, stop, reload = "rc-service {} start", "rc-service {} stop", "rc-service {} reload"
    status, log = "rc-service {} status", "cat /var/log/messages"
    enabled = "test -e /etc/runlevels/default/{}"


class Life:
    """Of one package in one guest."""

    def __init__(self, machine, init, package, port, path):
        self.machine, self.init, self.package, self.port, self.path = machine, init, package, port, path
        # Not by its name, of which the kernel keeps 15 letters; the helper has other words.
        self.running = f"pgrep -xf '/usr/bin/{package} serve.*'"

    def say(self, words):
        return self.machine.does(words.format(self.package))

    def main(self):
        """The number of the daemon's process; its helper has another name."""
        found = self.machine.does(self.running).split()
        expect(len(found) == 1, f"processes {found}")
        return found[0]

    def answers(self):
        answer = self.machine.curl(self.port, self.path)
        expect(answer.status == 200, answer)

    def closed(self):
        expect(self.machine.curl(self.port, self.path).status == 0, "it still answers")

    def install(self):
        return self.machine.does(f"dpkg -i /mnt/{self.package}_*.deb")

    def is_installed_and_does_not_run(self):
        told = self.install()
        expect("neither started nor enabled" in told, told)
        self.machine.fails(self.running)
        self.machine.fails(self.init.enabled.format(self.package))
        self.machine.does(f"getent passwd {self.package}")

    def starts(self):
        self.say(self.init.start)
        # OpenRC does not wait until it is ready.
        self.machine.reaches(f"{self.init.status.format(self.package)} && {self.running}", "it runs")
        self.is_up_again()

    def is_up_again(self):
        limit = time.monotonic() + UP_SECONDS
        while (answer := self.machine.curl(self.port, self.path)).status != 200:
            expect(time.monotonic() < limit, answer)
            time.sleep(0.2)

    def reloads(self):
        before = self.main()
        self.say(self.init.reload)
        self.answers()
        expect(self.main() == before, "a reload made a new process")

    def survives_kill(self):
        before = self.main()
        self.machine.does(f"kill -KILL {before}")
        self.machine.reaches(f"{self.running} | grep -vx {before}", "a killed daemon is back")
        self.is_up_again()

    def is_upgraded(self):
        before = self.main()
        self.install()
        self.machine.reaches(f"{self.running} | grep -vx {before}", "the new one runs")
        self.is_up_again()

    def stops(self):
        self.say(self.init.stop)
        self.machine.fails(self.running)
        self.machine.fails(self.init.status.format(self.package))
        self.closed()

    def is_removed_while_it_runs(self):
        self.starts()
        self.machine.does(f"dpkg --remove {self.package}")
        self.machine.fails(self.running)
        self.closed()

    def is_purged(self, key, asked):
        told = self.machine.does(f"dpkg --purge {self.package}")
        expect("stays, with its keys" in told and asked in told, told)
        self.machine.does(f"test -s {key}")
        self.install()
        self.machine.does(f"env {asked}=yes dpkg --purge {self.package}")
        self.machine.fails(f"test -e {key}")

    def confined(self, pid):
        """What /proc says of the process, from outside."""
        status = dict(line.split(":\t", 1) for line in self.machine.does(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
        number = self.machine.does(f"id -u {self.package}").strip()
        expect(status["Uid"].split() == [number] * 4, f"user {status['Uid']}")
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            expect(int(status[name], 16) == 0, f"{name} {status[name]}")
        expect(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", f"{status['NoNewPrivs']}, {status['Seccomp']}")
        log = self.say(self.init.log)
        expect("Landlock" not in log and "no seccomp" not in log, log)


def in_its_own_tree(life, pid):
    """What the unit adds: its files are not the machine's."""
    machine = life.machine
    enter = f"nsenter --target {pid} --mount"
    machine.does("touch /tmp/of-others")
    machine.fails(f"{enter} test -e /tmp/of-others")
    machine.fails(f"{enter} touch /etc/written")
    machine.fails(f"{enter} touch /usr/written")
    machine.fails(f"{enter} test -e /dev/vda")
    machine.does(f"{enter} test -w /var/lib/{life.package}")


def rating(life):
    told = life.machine.does(f"systemd-analyze security --no-pager {life.package}.service | tail -n 1")
    found = float(re.search(r"level for \S+: ([\d.]+)", told)[1])
    expect(found <= RATING, f"systemd-analyze rates it {found}")
    # There are no manual pages in this guest.
    complaints = life.machine.does(f"systemd-analyze verify --man=no {life.package}.service || true")
    expect(life.package not in complaints, complaints)
    return found


def settings(machine):
    machine.does(f"echo '{json.dumps(SETTINGS)}' >/etc/applianced/config.json")


def fingerprint(machine):
    return json.loads(machine.curl("https", "/v1/security/sslcertificate").body)["sha256"]


def helper(life):
    """The process that runs commands is root, and has what the unit left."""
    pid = life.machine.does("pgrep -f command-helper").strip()
    status = life.machine.does(f"cat /proc/{pid}/status")
    rights = int(re.search(r"CapBnd:\s*(\w+)", status)[1], 16)
    expect(re.search(r"Uid:\s*0\s", status) and rights == STARTING_RIGHTS, status)
