"""One appliance, the official clients, and what each is expected to get from it."""

import asyncio
import math
import os
import ssl
import struct
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage, InvalidStatus

from .appliance import curl
from .batch_engine import words
from .report import expect

SDK = Path(__file__).parent / "sdk_client.py"


class Trial:
    """One appliance and what is tried on it."""

    def __init__(self, report, appliance, batch, realtime, folder):
        self.report, self.appliance, self.batch, self.realtime = report, appliance, batch, realtime
        self.audio = folder / "tone.wav"
        self.heard = " ".join(words(self.audio.read_bytes()))
        self.environment = {**os.environ, "HOME": str(folder), "PYTHONWARNINGS": "ignore"}
        self.present("a-token")
        self.generations = " and ".join(appliance.settings["api"])

    def trust(self, root):
        self.environment["SSL_CERT_FILE"] = str(root)

    def present(self, token, live=False):
        """What clients send from now on; `live`: also the one that sends none with a stream otherwise."""
        self.environment["SPEECH_TOKEN"] = self.token = token
        self.live = ["--auth-token", token] if live else []

    def commands(self, rest, live, insecure):
        """A transcription with each of the clients; `rest` and `live` are names of listeners."""
        mode = ["--ssl-mode", "insecure" if insecure else "regular" if live == "realtime" else "none"]
        jobs = self.appliance.url(rest, "/v2")
        stream = self.appliance.url(live, "/v2/en", websocket=True)
        switch = ["--insecure"] if insecure else []
        batch_mode = ["--ssl-mode", "insecure"] if insecure else []
        return {
            # As page M2 of src/manual.md has it.
            "speechmatics-python, transcribe": [
                "speechmatics", "transcribe", "--lang", "en", self.audio, "--url", stream, *mode, *self.live,
            ],
            "speechmatics-python, batch transcribe": [
                "speechmatics", "batch", "transcribe", "--url", jobs, "--auth-token", self.token,
                "--lang", "en", *batch_mode, self.audio,
            ],
            "speechmatics-batch": [sys.executable, "-B", SDK, "batch", jobs, self.audio, *switch],
            "speechmatics-rt": [sys.executable, "-B", SDK, "rt", stream, self.audio, *switch],
        }  # fmt: skip

    def run(self, command):
        return subprocess.run(
            list(map(str, command)), env=self.environment, capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def transcribe(self, circumstances, rest="https", live="realtime", insecure=False):
        """Every client must get the transcript of exactly the audio it sent."""

        def heard(done):
            expect(done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}")
            expect(self.heard in done.stdout, f"no transcript: {done.stdout}{done.stderr}")

        self._each(f"transcribes {circumstances}", heard, rest, live, insecure)

    def refuse(self, circumstances, because, rest="https", live="realtime", insecure=False, only=""):
        """Every client must fail and say one of `because`."""

        def refused(done):
            said = done.stdout + done.stderr
            expect(done.returncode != 0, f"it went through: {said}")
            expect(any(text in said for text in because), f"it failed for another reason: {said}")

        self._each(f"is refused {circumstances}", refused, rest, live, insecure, only)

    def _each(self, outcome, check, rest, live, insecure, only=""):
        commands = {name: c for name, c in self.commands(rest, live, insecure).items() if only in name}
        # Loading the libraries is most of the time, so all run at once.
        with ThreadPoolExecutor(len(commands)) as pool:
            runs = {name: pool.submit(self.run, command) for name, command in commands.items()}
        for name, run in runs.items():
            self.proves(f"{name} {outcome}", lambda run=run: check(run.result()))

    def proves(self, sentence, check, *arguments):
        self.report.proves(f"api {self.generations}: {sentence}", check, *arguments)


def answers(wanted, *arguments):
    """curl must get the status `wanted`."""
    answer = curl(*arguments)
    expect(answer.status == wanted, f"{answer}, not {wanted}")


def hangs_up(*arguments):
    """`curl: (52) Empty reply from server`"""
    answer = curl(*arguments)
    expect(answer.exit == 52 and answer.status == 0, f"{answer}, not (52) Empty reply from server")


def handshake_is_refused(url, status, context=None):
    """The upgrade is answered `status`, or with `None` not at all."""

    async def attempt():
        async with connect(url, open_timeout=20, ssl=context):
            raise AssertionError("the WebSocket opened")

    try:
        asyncio.run(attempt())
    except InvalidStatus as refusal:
        found = refusal.response.status_code
        expect(found == status, f"the upgrade was answered {found}, not {status}")
    except InvalidMessage as refusal:
        expect(status is None, f"the upgrade was not answered: {refusal!r}")


def unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tone(file):
    """Three seconds at 16 kHz."""
    with wave.open(str(file), "wb") as audio:
        audio.setparams((1, 2, 16_000, 0, "NONE", ""))
        for n in range(48_000):
            audio.writeframesraw(struct.pack("<h", int(9_000 * math.sin(n * 0.17 + n * n * 1e-7))))
