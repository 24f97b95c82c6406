"""Small values that cross the wire."""

import asyncio
import base64
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from imagegen.generation.v1 import task_pb2

from services.runtime.errors import InvalidCursor, TokenInvalid
from services.runtime.ids import first_uuid7, uuid7
from services.runtime.pages import decode_page_token, encode_page_token
from services.runtime.protos import from_enum, from_timestamp, to_enum, to_timestamp
from services.runtime.tokens import Service, ServiceIdentity, TokenVerifier, TrustedServices, decode_key, encode_key
from tests.identities import TestAuthority


def test_uuid7_has_its_version_variant_and_time():
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_uuid7_sorts_by_time():
    early = uuid7()
    time.sleep(0.002)
    assert early < uuid7()


def test_the_first_uuid7_of_a_moment_divides_those_before_from_those_after():
    made = uuid7()
    milliseconds = made.int >> 80
    assert first_uuid7(milliseconds) <= made < first_uuid7(milliseconds + 1)
    assert first_uuid7(-62_135_596_800_000).int == 0, "in the year 1 none was made"


@given(st.uuids())
def test_a_page_token_comes_back_as_it_was(last: UUID):
    assert decode_page_token(encode_page_token(last)) == last


@given(st.uuids(), st.binary(), st.binary())
def test_a_page_token_goes_with_its_filters(last: UUID, filters: bytes, others: bytes):
    token = encode_page_token(last, filters)
    assert decode_page_token(token, filters) == last
    if others != filters:
        with pytest.raises(InvalidCursor):
            decode_page_token(token, others)


def test_no_page_token_is_the_first_page():
    assert decode_page_token("") is None


def forged(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize("token", ["rubbish", "ä", "=", forged([]), forged({"after": 1}), forged({}), forged(None)])
def test_a_page_token_that_nobody_made_is_refused(token):
    with pytest.raises(InvalidCursor):
        decode_page_token(token)


@pytest.mark.parametrize("word", ["pending", "processing", "completed", "failed", "canceled", None])
def test_a_state_is_spelled_alike_everywhere(word):
    assert from_enum(task_pb2.TaskState, to_enum(task_pb2.TaskState, word)) == word


def test_a_moment_comes_back_as_it_was():
    moment = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
    assert from_timestamp(to_timestamp(moment)) == moment
    assert to_timestamp(None) is None


@given(st.binary(max_size=64))
def test_a_key_comes_back_as_it_was(raw: bytes):
    assert decode_key(encode_key(raw)) == raw


@pytest.mark.parametrize("text", ["auth", "auth=", "auth=AAAA", "auth=!!"])
def test_a_malformed_list_of_services_is_refused(text):
    with pytest.raises(ValueError):
        TrustedServices.parse(text)


def public_half(seed: str) -> str:
    return encode_key(Ed25519PrivateKey.from_private_bytes(decode_key(seed)).public_key().public_bytes_raw())


def test_a_service_that_is_given_a_new_key_is_believed_by_both_until_the_old_one_goes():
    seeds = {name: encode_key(bytes([number]) * 32) for number, name in enumerate(("old", "new", "stranger"))}
    entries = {name: f"gateway={public_half(seed)}" for name, seed in seeds.items()}

    def believed(*trusted: str) -> set[str]:
        services = TrustedServices.parse(",".join(entries[name] for name in trusted))
        verifier = TokenVerifier("auth", services, TestAuthority())
        good = set()
        for name, seed in seeds.items():
            with suppress(TokenInvalid):
                assert asyncio.run(verifier.verify(ServiceIdentity("gateway", seed).token("auth"))) == Service(
                    "gateway"
                )
                good.add(name)
        return good

    assert believed("old") == {"old"}
    assert believed("old", "new") == {"old", "new"}
    assert believed("new") == {"new"}
