"""Every wait has an end, so that a program that hangs costs a figure and not the run."""

import subprocess
import threading
from contextlib import contextmanager

# A killed process is gone at once, unless the kernel itself hangs; commands take a few seconds.
KILLED_SECONDS, COMMAND_SECONDS = 30, 60
# A program that is asked to stop may finish what it does.
STOP_SECONDS = 15
# Builds and installations fetch things.
BUILD_SECONDS = 1800


@contextmanager
def killed_after(process, seconds=COMMAND_SECONDS):
    """Kills `process` unless the block ends before: whoever reads what it says comes to its end then."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end(process):
    """Kills it and takes what it has left to say."""
    process.kill()
    try:
        process.communicate(timeout=KILLED_SECONDS)
    except subprocess.TimeoutExpired:
        said = f"process {process.pid} is still there {KILLED_SECONDS} s after SIGKILL"
        raise RuntimeError(f"{said}: {process.args}") from None
