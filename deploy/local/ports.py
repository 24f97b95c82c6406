"""Ports on 127.0.0.1 for the processes of one launcher."""

import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

LOOPBACK = "127.0.0.1"
# Below the ephemeral range (Linux: 32768 up, macOS: 49152 up): nobody's outgoing connection can sit on the port
# of a process that is being restarted.
_FIRST, _END, _BLOCK = 20_000, 32_000, 96


@contextmanager
def reserved_ports(names: Sequence[str]) -> Iterator[dict[str, int]]:
    """Gives each name a free port; another launcher gets none of them for the length of the `with`.

    The ports are one block of the range. Holding the block's first port, bound and unused, keeps other launchers
    off; the rest were tried against everybody else.

    Raises:
        OSError: no block is free.
    """
    assert len(names) < _BLOCK
    for _ in range(100):
        first = _FIRST + _BLOCK * secrets.randbelow((_END - _FIRST) // _BLOCK)
        ports = dict(zip(names, range(first + 1, first + _BLOCK), strict=False))
        with socket.socket() as reservation:
            try:
                reservation.bind((LOOPBACK, first))
                for port in ports.values():
                    require_free(port)
            except OSError:
                continue
            yield ports
            return
    raise OSError(f"no {len(names)} free ports between {_FIRST} and {_END}")


def require_free(port: int) -> None:
    """Raises OSError if nothing can listen on the port."""
    with socket.socket() as attempt:
        # As servers do: connections that a former server closed do not count.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind((LOOPBACK, port))
