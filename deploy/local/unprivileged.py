"""Runs a command as somebody other than root: `unprivileged.py FOLDER COMMAND…`, for PostgreSQL, which refuses root.

First choice: a user namespace in which root is called nobody. The folder keeps its owner, and the way to it may
be closed to everybody else. Where namespaces are forbidden (Docker's default seccomp profile, macOS): nobody
indeed, to whom the folder is given.
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000  # linux/sched.h
NOBODY = 65534


def main() -> None:
    folder, command = Path(sys.argv[1]), sys.argv[2:]
    group = os.getegid()
    unshare = getattr(ctypes.CDLL(None), "unshare", None)  # Linux only
    if unshare is not None and unshare(CLONE_NEWUSER) == 0:
        _call_root_nobody(group)
    else:
        _become_nobody(folder)
    os.execv(command[0], command)  # noqa: S606 - replacing this process is the purpose


def _call_root_nobody(group: int) -> None:
    """Maps root to nobody in the new namespace, as user_namespaces(7) allows a process to do for itself."""
    process = Path("/proc/self")
    process.joinpath("setgroups").write_text("deny")  # a group map may be written only after this
    process.joinpath("uid_map").write_text(f"{NOBODY} 0 1")
    process.joinpath("gid_map").write_text(f"{NOBODY} {group} 1")


def _become_nobody(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


if __name__ == "__main__":
    main()
