"""A stand-in for the realtime engine: the WebSocket protocol, versions 1 and 2, as clients speak it.

Every frame of audio is acknowledged with its number; the transcript names size and checksum of all.
"""

import asyncio
import json
import threading

from websockets.asyncio.server import serve

from .batch_engine import results, words


class RealtimeEngine:
    """Listens on `port` until closed. `handshakes` holds path and `Authorization` of each stream."""

    def __init__(self):
        self.handshakes = []
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        async def run():
            self.stopped = asyncio.Event()
            async with serve(self._stream, "127.0.0.1", 0, max_size=None) as server:
                self.port = server.sockets[0].getsockname()[1]
                started.set()
                await self.stopped.wait()

        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(run(),), daemon=True)
        self.thread.start()
        if not started.wait(10):
            raise RuntimeError("the realtime stand-in did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(10)

    async def _stream(self, socket):
        request = socket.request
        self.handshakes.append((request.path, request.headers.get("Authorization")))
        audio, frames = bytearray(), 0
        # Version 1 says AddData where version 2 says AddAudio.
        added = "AudioAdded"
        async for message in socket:
            if isinstance(message, bytes):
                frames += 1
                audio += message
                await _say(socket, added, seq_no=frames)
                continue
            heard = json.loads(message)
            if heard["message"] == "StartRecognition":
                if "model" in heard:
                    added = "DataAdded"
                await _say(socket, "RecognitionStarted", id=f"session-{len(self.handshakes)}")
            elif heard["message"] == "EndOfStream":
                # Not "equal": speechmatics-rt takes the number of the last acknowledgement it has read.
                if heard["last_seq_no"] > frames:
                    await _say(socket, "Error", type="protocol_error", reason=f"{frames} frames arrived")
                    return
                spoken = words(bytes(audio))
                metadata = {"transcript": " ".join(spoken), "start_time": 0.0, "end_time": 1.0}
                await _say(socket, "AddTranscript", format="2.9", metadata=metadata, results=results(spoken))
                await _say(socket, "EndOfTranscript")


async def _say(socket, message, **fields):
    await socket.send(json.dumps({"message": message, **fields}))
