"""speechmatics-batch and speechmatics-rt as a program of their own: prints the transcript.

usage: sdk_client.py batch|rt URL AUDIO_FILE [--insecure]; the token is SPEECH_TOKEN

A program, because SSL_CERT_FILE has to be set before the libraries are loaded.
"""

import asyncio
import os
import ssl
import sys

TOKEN = os.environ["SPEECH_TOKEN"]


async def batch(url, audio, insecure):
    from speechmatics.batch import AsyncClient, TranscriptionConfig

    async with AsyncClient(api_key=TOKEN, url=url) as client:
        if insecure:
            # The client has no switch for this, so it gets its connections from outside.
            import aiohttp

            client._transport._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))
        config = TranscriptionConfig(language="en")
        transcript = await client.transcribe(audio, transcription_config=config, timeout=30)
        print(transcript.transcript_text)


async def realtime(url, audio, insecure):
    from speechmatics.rt import AsyncClient, ConnectionConfig, ServerMessageType, TranscriptionConfig

    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connection = ConnectionConfig(ssl_context=context)
    async with AsyncClient(api_key=TOKEN, url=url, conn_config=connection) as client:
        heard = []

        @client.on(ServerMessageType.ADD_TRANSCRIPT)
        def keep(message):
            heard.append(message["metadata"]["transcript"])

        config = TranscriptionConfig(language="en")
        with open(audio, "rb") as source:
            await client.transcribe(source, transcription_config=config, timeout=30)
        print(" ".join(heard))


def main():
    kind, url, audio, *switches = sys.argv[1:]
    insecure = switches == ["--insecure"]
    try:
        asyncio.run({"batch": batch, "rt": realtime}[kind](url, audio, insecure))
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
