"""A stand-in for the realtime engine at work: sends its own frames while it checks those it gets.

Streams with an even number are closed by the client, the others by this side. Once all of a stream has
passed, a line of JSON about it goes to standard output. A program of its own, for the second core.

usage: stream_engine.py PORT FRAMES
"""

import asyncio
import json
import sys

from frames import converse
from websockets.asyncio.server import serve


async def main(port, count):
    async def handler(socket):
        number = int(socket.request.path.rpartition("=")[2])
        told = await converse(socket, number, count, b"text", b"mic ", we_close=number % 2 == 1)
        print(json.dumps(told), flush=True)

    async with serve(handler, "127.0.0.1", port, compression=None, ping_interval=None, close_timeout=30):
        print("listening", flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
