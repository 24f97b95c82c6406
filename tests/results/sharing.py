"""Somebody who shares, whoever opens the links, and how they are refused."""

from typing import Any
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from imagegen.results.v1 import picture_pb2, result_pb2, share_pb2
from imagegen.results.v1 import share_service_pb2 as shares

from tests.identities import as_person
from tests.results.conftest import Refusal, World

RESULT_NOT_FOUND = Refusal("NOT_FOUND", "RESULT_NOT_FOUND")
NOT_FOUND = Refusal("NOT_FOUND", "SHARE_NOT_FOUND")
ENDED = Refusal("FAILED_PRECONDITION", "SHARE_ENDED")
LOCKED = Refusal("UNAUTHENTICATED", "SHARE_LOCKED")
WRONG = Refusal("UNAUTHENTICATED", "SHARE_PASSWORD_WRONG")
TOO_MANY_ATTEMPTS = Refusal("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS")
TOO_MANY_SHARES = Refusal("RESOURCE_EXHAUSTED", "TOO_MANY_SHARES")
REUSED = Refusal("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
HOUR = Duration(seconds=3600)
THEY_EXPIRE = "UPDATE shares SET expires_at = now()"


class Sharer:
    """The owner of one picture, who shares it."""

    def __init__(self, world: World, png: bytes | None = None, **recipe: object) -> None:
        self.world = world
        self.id = uuid4()
        self.picture: result_pb2.Result = world.store(png, owner=self.id, **recipe)

    def create(self, **terms: Any) -> shares.CreateShareResponse:
        request = shares.CreateShareRequest(**{"result_id": self.picture.id} | terms)
        return self.world.shares.CreateShare(request, metadata=as_person(self.id))

    def update(self, share: share_pb2.Share, **changes: Any) -> share_pb2.Share:
        request = shares.UpdateShareRequest(share_id=share.id, **changes)
        return self.world.shares.UpdateShare(request, metadata=as_person(self.id)).share

    def revoke(self, share: share_pb2.Share) -> None:
        self.world.shares.RevokeShare(shares.RevokeShareRequest(share_id=share.id), metadata=as_person(self.id))

    def listed(self, **fields: Any) -> shares.ListSharesResponse:
        request = shares.ListSharesRequest(**{"result_id": self.picture.id} | fields)
        return self.world.shares.ListShares(request, metadata=as_person(self.id))


def opened(world: World, token: str, ticket: str = "") -> share_pb2.SharedPicture:
    return world.shares.OpenShare(shares.OpenShareRequest(token=token, ticket=ticket)).picture


def unlocked(world: World, token: str, password: str, address: str = "192.0.2.1") -> str:
    request = shares.UnlockShareRequest(token=token, password=password)
    return world.shares.UnlockShare(request, metadata=(("x-forwarded-for", address),)).ticket


def downloaded(world: World, token: str, ticket: str = "", **wanted: Any) -> tuple[picture_pb2.Picture, bytes]:
    """What was said of the picture, and its bytes."""
    request = shares.DownloadShareRequest(token=token, ticket=ticket, **wanted)
    first, *others = world.shares.DownloadShare(request, timeout=30)
    return first.picture, b"".join(message.chunk for message in others)
