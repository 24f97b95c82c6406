"""A part of a picture's bytes: Range and If-Range (RFC 9110 §14.2, §13.1.5)."""

import re

from imagegen.results.v1 import picture_pb2

RANGE = re.compile(r"bytes=[ \t,]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t,]*", re.ASCII | re.IGNORECASE)
"""One range. The grammar of lists allows empty items beside it (§5.6.1)."""

SHA256_TAG = re.compile(r'"([0-9a-f]{64})"')
"""Our strong entity tag of a picture."""

MOST = 2**63 - 1


def parse_range(header: str | None) -> picture_pb2.ByteRange | None:
    """None: the whole picture is to be sent. So it is also if the header is of another unit, makes no sense, or asks
    for several ranges (§14.2 lets a server ignore it): no program reads a picture that way.
    """
    found = RANGE.fullmatch(header or "")
    if not found:
        return None
    first, last, suffix = found.groups()
    if suffix:
        return picture_pb2.ByteRange(suffix_length=_number(suffix))
    if not last:
        return picture_pb2.ByteRange(first=_number(first))
    if _number(last) < _number(first):
        return None
    return picture_pb2.ByteRange(first=_number(first), last=_number(last))


def if_range_sha256(header: str | None) -> str:
    """The digest that the range is meant of; of what cannot be one of ours (a date, a weak tag), one that nothing has:
    then the whole picture is to be sent. Empty without the header.
    """
    if header is None:
        return ""
    found = SHA256_TAG.fullmatch(header.strip())
    return found[1] if found else "0" * 64


def _number(digits: str) -> int:
    """As large as the contract's; no picture is. Python itself refuses to read thousands of digits."""
    digits = digits.lstrip("0")
    return min(int(digits or 0), MOST) if len(digits) < 20 else MOST
