"""Numbered, checksummed frames on a beat: what both ends of a stream send and check.

A frame is 100 ms of 16 kHz audio: 3,200 bytes, of which 16 say who sent it, which one it is and what
its CRC-32 is, so that a lost, doubled, swapped or damaged byte can't pass.
"""

import asyncio
import random
import struct
import zlib

FRAME_BYTES = 3_200
SECONDS_BETWEEN = 0.1
_HEAD = struct.Struct(">4sIII")
_NOISE = random.Random(2).randbytes(FRAME_BYTES + 4_096)


def frame(sender, stream, number):
    """`sender` is four bytes that tell the two directions apart."""
    shift = (stream * 31 + number) % 4_096
    body = _NOISE[shift : shift + FRAME_BYTES - _HEAD.size]
    return _HEAD.pack(sender, stream, number, zlib.crc32(body)) + body


class Arrivals:
    """Checks what comes from one `sender` in one `stream`."""

    def __init__(self, sender, stream):
        self.sender, self.stream, self.count, self.fault = sender, stream, 0, None

    def take(self, message):
        if self.fault:
            return
        if len(message) != FRAME_BYTES:
            self.fault = f"frame {self.count} of stream {self.stream} has {len(message)} bytes"
            return
        sender, stream, number, crc = _HEAD.unpack_from(message)
        if (sender, stream, number) != (self.sender, self.stream, self.count):
            self.fault = f"{sender} {stream} {number} came as frame {self.count} of stream {self.stream}"
        elif crc != zlib.crc32(memoryview(message)[_HEAD.size :]):
            self.fault = f"frame {number} of stream {stream} is damaged"
        self.count += 1


async def send_on_the_beat(socket, sender, stream, count):
    """Sends `count` frames, one each 100 ms; returns by how many seconds the latest was late.

    Streams start apart, as those of people do.
    """
    loop = asyncio.get_running_loop()
    start = loop.time() + (stream % 100) * SECONDS_BETWEEN / 100
    latest = 0.0
    for number in range(count):
        due = start + number * SECONDS_BETWEEN
        await asyncio.sleep(max(0.0, due - loop.time()))
        await socket.send(frame(sender, stream, number))
        latest = max(latest, loop.time() - due)
    return latest
