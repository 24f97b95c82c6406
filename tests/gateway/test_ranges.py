"""Range and If-Range, as headers."""

import pytest
from imagegen.results.v1 import picture_pb2

from gateway.ranges import MOST, if_range_sha256, parse_range

ByteRange = picture_pb2.ByteRange
SHA256 = "ab" * 32


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        ("bytes=0-499", ByteRange(first=0, last=499)),
        ("bytes=500-", ByteRange(first=500)),
        ("bytes=-500", ByteRange(suffix_length=500)),
        ("bytes=-0", ByteRange(suffix_length=0)),
        ("Bytes= ,0-0 ", ByteRange(first=0, last=0)),
        ("bytes=007-", ByteRange(first=7)),
        (f"bytes=1{'0' * 5000}-", ByteRange(first=MOST)),
        (f"bytes=0-{'9' * 19}", ByteRange(first=0, last=MOST)),
    ],
)
def test_one_range_is_understood(header, parsed):
    assert parse_range(header) == parsed


NO_RANGE = "|bytes|bytes=|bytes=-|bytes=5|bytes=5-4|bytes=a-b|bytes=0x0-|bytes=+1-2|bytes=٣-|bytes=0-1,4-5|lines=0-1"
NEITHER = "bytes 0-1|0-1|bytes=1-2-3|bytes=--1|bytes=1 -2"


@pytest.mark.parametrize("header", [None, *NO_RANGE.split("|"), *NEITHER.split("|")])
def test_anything_else_asks_for_the_whole(header):
    assert parse_range(header) is None


@pytest.mark.parametrize(
    ("header", "digest"),
    [
        (None, ""),
        (f'"{SHA256}"', SHA256),
        (f'W/"{SHA256}"', "0" * 64),
        ('"other"', "0" * 64),
        ("Sat, 28 Nov 2026 03:00:00 GMT", "0" * 64),
        ("", "0" * 64),
    ],
)
def test_a_range_is_meant_of_certain_bytes_by_a_strong_tag_only(header, digest):
    assert if_range_sha256(header) == digest
