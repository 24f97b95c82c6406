"""A process group that dies with this process, however this process ends.

Run as a script, this file is the watchdog: first child and leader of the group. It reads a pipe whose only
writer is the launcher, so it sees the end of the launcher as the end of the file, after kill -9 too, and kills
its group, itself included. A child between fork and exec holds a copy of the writer until it has joined the
group, so none can slip through.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def guarded_group() -> Iterator[int]:
    """Gives the id of a process group for `Popen(process_group=…)`; what is left in it at the end is killed."""
    reader, writer = os.pipe()
    command = [sys.executable, "-I", "-S", __file__]
    watchdog = subprocess.Popen(command, stdin=reader, process_group=0)  # noqa: S603 - our own command
    os.close(reader)
    try:
        yield watchdog.pid
    finally:
        os.close(writer)
        watchdog.wait()


if __name__ == "__main__":
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
