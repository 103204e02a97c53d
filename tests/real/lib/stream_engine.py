"""A stand-in for the realtime engine at work: sends its own frames while it checks those it gets.

Streams with an even number are closed by the client, the others by this side. Once all of a stream has
passed, a line of JSON about it goes to standard output. A program of its own, for the second core.

usage: stream_engine.py PORT FRAMES
"""

import asyncio
import json
import sys

from frames import Arrivals, send_on_the_beat
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def stream(socket, count):
    number = int(socket.request.path.rpartition("=")[2])
    arrivals = Arrivals(b"mic ", number)
    sending = asyncio.create_task(send_on_the_beat(socket, b"text", number, count))
    latest = None
    try:
        # With all frames there, the client's close may come at once.
        while arrivals.count < count:
            arrivals.take(await socket.recv())
        latest = await sending
        if number % 2:
            await socket.close(1000, "done")
        else:
            arrivals.take(await socket.recv())
    except ConnectionClosed as closed:
        if latest is None:
            arrivals.fault = arrivals.fault or f"stream {number} was cut: {closed}"
    sending.cancel()
    await socket.wait_closed()
    report = {
        "stream": number,
        "arrived": arrivals.count,
        "fault": arrivals.fault,
        "late": latest,
        "close": [socket.close_code, socket.close_reason],
    }
    print(json.dumps(report), flush=True)


async def main(port, count):
    async def handler(socket):
        await stream(socket, count)

    async with serve(handler, "127.0.0.1", port, compression=None, ping_interval=None, close_timeout=30):
        print("listening", flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
