"""A stand-in for both speech engines that takes whatever comes: uploads, however slow, and tunnels.

usage: attack_engine.py PORT; prints `listening`.
"""

import asyncio
import sys

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]'
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            if "\r\nupgrade: websocket" in head:
                writer.write(ACCEPTED)
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
                return
            length = next((int(l[15:]) for l in head.split("\r\n") if l.startswith("content-length:")), 0)
            while length:
                data = await reader.read(min(length, 1 << 20))
                if not data:
                    return
                length -= len(data)
            writer.write(ANSWER)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096, limit=1 << 20)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
