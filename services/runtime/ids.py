"""UUIDv7: ids that sort by the time they were made."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A new UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def first_uuid7(milliseconds: int) -> UUID:
    """Not after any UUIDv7 that was made so many milliseconds after 1970 or later, but after all made before."""
    return UUID(int=max(0, milliseconds) << 80)
