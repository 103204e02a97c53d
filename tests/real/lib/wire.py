"""A network without DHCP: QEMU's own, with a wire between it and the guest that swallows what a DHCP client asks.

In: the two ends as QEMU has them (a frame behind its length in 4 bytes, over TCP), ports that lead to addresses of
the guest. Out: what the guest does with it.
"""

import socket
import struct
import threading

from appliance import free_port

ETHERTYPE_IPV4 = b"\x08\x00"
UDP = 17
DHCP_SERVER = 67


class Wire:
    """`addresses` of the guest, each of which gets ports of ours: 443 and 80."""

    def __init__(self, addresses):
        self.port = {(address, port): free_port() for address in addresses for port in (443, 80)}
        self.ends = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.swallowed = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def network(self):
        """Of the guest's card."""
        return f"socket,connect=127.0.0.1:{self.ends[0].getsockname()[1]}"

    def flags(self):
        """QEMU's network, on the other side of the wire."""
        forwards = [f"hostfwd=tcp:127.0.0.1:{ours}-{address}:{port}" for (address, port), ours in self.port.items()]
        far = self.ends[1].getsockname()[1]
        backends = [
            ",".join(["user,id=far,restrict=on", *forwards]),
            f"socket,id=wire,connect=127.0.0.1:{far}",
            "hubport,id=one,hubid=1,netdev=far",
            "hubport,id=two,hubid=1,netdev=wire",
        ]
        return [word for backend in backends for word in ("-netdev", backend)]

    def _serve(self):
        while True:  # each time the guest is switched on
            near, far = (end.accept()[0] for end in self.ends)
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near), daemon=True).start()

    def _carry(self, source, target):
        with source, target:
            while frame := read_frame(source):
                if asks_for_dhcp(frame):
                    self.swallowed += 1
                    continue
                try:
                    target.sendall(struct.pack(">I", len(frame)) + frame)
                except OSError:
                    return


def read_frame(source):
    """Nothing at the end."""
    length = read_exactly(source, 4)
    return length and read_exactly(source, struct.unpack(">I", length)[0])


def read_exactly(source, count):
    data = b""
    while len(data) < count:
        try:
            piece = source.recv(count - len(data))
        except OSError:
            return b""
        if not piece:
            return b""
        data += piece
    return data


def asks_for_dhcp(frame):
    if frame[12:14] != ETHERTYPE_IPV4 or frame[23] != UDP:
        return False
    begin = 14 + (frame[14] & 15) * 4
    return struct.unpack(">H", frame[begin + 2 : begin + 4])[0] == DHCP_SERVER
