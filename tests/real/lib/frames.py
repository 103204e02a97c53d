"""Numbered, checksummed frames on a beat: what both ends of a stream send and check.

A frame is 100 ms of 16 kHz audio: 3,200 bytes, of which 16 say who sent it, which one it is and what
its CRC-32 is, so that a lost, doubled, swapped or damaged byte can't pass.
"""

import asyncio
import random
import struct
import zlib

from websockets.exceptions import ConnectionClosed

FRAME_BYTES = 3_200
SECONDS_BETWEEN = 0.1
# Without a frame for so long, the next one is lost.
SILENT_SECONDS = 20
_HEAD = struct.Struct(">4sIII")
_NOISE = random.Random(2).randbytes(FRAME_BYTES + 4_096)


def frame(sender, stream, number):
    """`sender` is four bytes that tell the two directions apart."""
    shift = (stream * 31 + number) % 4_096
    body = _NOISE[shift : shift + FRAME_BYTES - _HEAD.size]
    return _HEAD.pack(sender, stream, number, zlib.crc32(body)) + body


class Broken(Exception):
    """Why a stream is not what the other side sent."""


class Arrivals:
    """What comes from one `sender` in one `stream`."""

    def __init__(self, sender, stream):
        self.sender, self.stream, self.count = sender, stream, 0

    async def all(self, socket, count):
        """Takes exactly `count` frames."""
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(SILENT_SECONDS) as limit:
                while self.count < count:
                    self._take(await socket.recv())
                    limit.reschedule(clock() + SILENT_SECONDS)
        except TimeoutError:
            raise Broken(f"frame {self.count} never came") from None
        except ConnectionClosed as closed:
            raise Broken(f"cut after {self.count} frames: {closed}") from None

    async def end(self, socket):
        """Nothing comes any more but the close of the other side."""
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                more = await socket.recv()
            raise Broken(f"{len(more)} bytes more than were sent")
        except TimeoutError:
            raise Broken("the close never came") from None
        except ConnectionClosed:
            pass

    def _take(self, message):
        if len(message) != FRAME_BYTES:
            raise Broken(f"frame {self.count} has {len(message)} bytes")
        sender, stream, number, crc = _HEAD.unpack_from(message)
        if (sender, stream, number) != (self.sender, self.stream, self.count):
            raise Broken(f"frame {number} of {sender} {stream} came as frame {self.count}")
        if crc != zlib.crc32(memoryview(message)[_HEAD.size :]):
            raise Broken(f"frame {number} is damaged")
        self.count += 1


async def converse(socket, number, count, ours, theirs, we_close):
    """Both directions of stream `number`, to its close; what this side has to say of it."""
    arrivals = Arrivals(theirs, number)
    sending = asyncio.create_task(send_on_the_beat(socket, ours, number, count))
    fault = late = None
    try:
        await arrivals.all(socket, count)
        late = await sending
        if we_close:
            await socket.close(1000, "done")
        else:
            await arrivals.end(socket)
    except (Broken, ConnectionClosed) as error:
        fault = f"{error}"
        await socket.close(1002, "broken")
    sending.cancel()
    await socket.wait_closed()
    close = [socket.close_code, socket.close_reason]
    return {"stream": number, "arrived": arrivals.count, "fault": fault, "late": late, "close": close}


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
