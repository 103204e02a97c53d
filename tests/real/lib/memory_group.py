"""A control group with a limit of memory, of whichever version the machine has: cgroups(7).

In: the limit. Out: a folder whose `cgroup.procs` takes who is to be in it.
"""

import contextlib
import os
import time
from pathlib import Path

from lib.report import NotTried

TREE = Path("/sys/fs/cgroup")
# The kernel takes leave of who was in it a moment after their end.
LEAVE_SECONDS = 10


@contextlib.contextmanager
def memory_group(limit):
    first = (TREE / "memory").is_dir()
    group = (TREE / "memory" if first else TREE) / f"applianced-test-{os.getpid()}"
    try:
        if not first:
            (TREE / "cgroup.subtree_control").write_text("+memory")
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit))
    except OSError as error:
        raise NotTried(f"no control group can be made here: {error}") from None
    try:
        yield group
    finally:
        deadline = time.monotonic() + LEAVE_SECONDS
        while True:
            try:
                group.rmdir()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
