"""What goes over loopback at given ports, as tcpdump sees it."""

import os
import re
import socket
import struct
import subprocess

from lib.proxies import SECONDS, until


class Capture:
    """`with Capture(folder / "name.pcap", ports) as capture: …`; then `flows` and `packets`."""

    def __init__(self, file, ports):
        self.file = file
        self.said = file.with_suffix(".said")
        self.ports = list(ports)
        self.packets = []

    def __enter__(self):
        wanted = " or ".join(f"port {port}" for port in self.ports)
        self.sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
        # Its stdout is the file, because it gives up root before it would open one.
        command = [*self.sudo, "tcpdump", "-i", "lo", "-n", "-s", "0", "-B", "16384", "-U", "-w", "-", wanted]
        with open(self.file, "wb") as output, open(self.said, "wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/usr/bin"},
                start_new_session=True,  # sudo passes on no signal of its own process group
            )  # fmt: skip

        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"tcpdump did not start: {self.said.read_text()}")
            return "listening on" in self.said.read_text()

        try:
            until(ready, "tcpdump listens")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind, *_):
        """Knocks at each port itself and waits to see that: then all before it has been seen too."""
        try:
            if kind is None:
                knocks = {self.knock(port) for port in self.ports}
                until(lambda: knocks <= ends(self.read()), "tcpdump sees our own packets")
                self.packets = [one for one in self.read() if not knocks & {one[:2], one[1::-1]}]
        finally:
            self.end()
        if kind is None:
            said = self.said.read_text()
            if not re.search(r"^0 packets dropped by kernel", said, re.M):
                raise RuntimeError(f"tcpdump did not see everything: {said}")

    def end(self):
        if self.process.poll() is None:
            subprocess.run([*self.sudo, "kill", "-INT", str(self.process.pid)], check=False)
            self.process.wait(SECONDS)

    def knock(self, port):
        """A connection of our own, as (our port, its port); whether anybody listens does not matter."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            own = probe.getsockname()[1]
            probe.connect_ex(("127.0.0.1", port))
        return own, port

    def read(self):
        """Every packet so far: source port, target port, the TCP payload."""
        data = self.file.read_bytes()
        packets, at = [], 24
        while at + 16 <= len(data):
            length = struct.unpack_from("<I", data, at + 8)[0]
            frame = data[at + 16 : at + 16 + length]
            if len(frame) < length:
                break
            packets.append(segment(frame))
            at += 16 + length
        return packets

    def flows(self):
        """The bytes of each direction of each connection."""
        flows = {}
        for source, target, payload in self.packets:
            flows[source, target] = flows.get((source, target), b"") + payload
        return flows


def connections(ports):
    """How many TCP connections there are at these ports, whose end could still send a packet."""
    listening, over = "0A", "06"  # TCP_LISTEN, TCP_TIME_WAIT
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        for line in open(table).readlines()[1:]:
            _, local, remote, state = line.split()[:4]
            at = {int(end.rpartition(":")[2], 16) for end in (local, remote)}
            count += bool(at & set(ports)) and state not in (listening, over)
    return count


def ends(packets):
    return {one[:2] for one in packets}


def segment(frame):
    """Ports and payload of an Ethernet frame; what is not TCP or UDP can't pass the filter."""
    kind = struct.unpack_from(">H", frame, 12)[0]
    if kind == 0x86DD:
        start, end, protocol = 54, len(frame), frame[20]
    else:
        start = 14 + (frame[14] & 15) * 4
        end, protocol = 14 + struct.unpack_from(">H", frame, 16)[0], frame[23]
    source, target = struct.unpack_from(">HH", frame, start)
    header = (frame[start + 12] >> 4) * 4 if protocol == 6 else 8
    return source, target, frame[start + header : end]
