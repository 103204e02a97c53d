"""A network of the test's own: namespaces where the ports 53, 80 and 443 are free, and names for addresses.

In: a program that starts itself anew inside. Out: who listens there.
"""

import ipaddress
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

ZONE = "acme.test"
INSIDE = "APPLIANCED_ACME"
HOSTS = 100


def enter(program, arguments):
    """Runs `program` again, root in namespaces of its own, and ends with it; returns at once inside."""
    if INSIDE in os.environ:
        lay_out(pathlib.Path(os.environ[INSIDE]))
        return
    apart = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        apart += ["--user", "--map-root-user"]
    if subprocess.run([*apart, "true"], capture_output=True).returncode != 0:
        print(f"  NOT TRIED: no ACME without namespaces; {' '.join(apart)} fails here")
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix="acme.") as folder:
        inside = subprocess.run([*apart, program, *arguments], env={**os.environ, INSIDE: folder})
    sys.exit(inside.returncode)


def lay_out(folder):
    """Loopback with addresses for all hosts, and a resolver that asks Names."""
    settings = {"resolv.conf": "nameserver 127.0.0.1\n", "hosts": "127.0.0.1 localhost\n::1 localhost\n"}
    for name, text in settings.items():
        (folder / name).write_text(text)
        # resolv.conf may be a link to where nothing is.
        subprocess.run(["mount", "--bind", folder / name, os.path.realpath(f"/etc/{name}")], check=True)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lines = ["link set lo up"]
    for number in range(1, HOSTS + 1):
        lines += [f"addr add {v4(number)}/32 dev lo", f"addr add {v6(number)}/128 dev lo nodad"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def v4(number):
    return str(ipaddress.ip_address("10.77.0.0") + number)


def v6(number):
    return str(ipaddress.ip_address("fd77::") + number)


class Host:
    """A name with an IPv4 address, an IPv6 address or both."""

    def __init__(self, number, label, families):
        self.name = f"{label}.{ZONE}"
        self.v4 = v4(number) if 4 in families else None
        self.v6 = v6(number) if 6 in families else None

    def sockets(self, port):
        """Each address with this port, as settings and servers write them."""
        return [f"{address}:{port}" for address in (self.v4, self.v6 and f"[{self.v6}]") if address]


class Names:
    """`with Names() as names: …`; the only name server there is. It knows the hosts it has made."""

    def __enter__(self):
        self.known, self.lock = {}, threading.Lock()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def host(self, label, families=(4, 6)):
        with self.lock:
            host = Host(len(self.known) + 1, label, families)
            self.known[host.name + "."] = host
            return host

    def _serve(self):
        while True:
            try:
                question, sender = self.socket.recvfrom(4096)
                self.socket.sendto(self._answer(dns.message.from_wire(question)).to_wire(), sender)
            except OSError:
                return

    def _answer(self, question):
        answer = dns.message.make_response(question, recursion_available=True)
        asked = question.question[0]
        host = self.known.get(asked.name.to_text().lower())
        if host is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
            return answer
        for kind, address in (("A", host.v4), ("AAAA", host.v6)):
            if address and dns.rdatatype.to_text(asked.rdtype) == kind:
                answer.answer.append(dns.rrset.from_text(asked.name, 1, "IN", kind, address))
        return answer
