"""The public keys that access tokens verify with."""

from typing import Literal

from fastapi import APIRouter, Response
from imagegen.auth.v1 import auth_service_pb2 as auth

from gateway.bodies import Answer
from gateway.clients import CallsDependency
from gateway.problems import problems

MAX_AGE_SECONDS = 300

router = APIRouter(tags=["auth"])


class Jwk(Answer):
    """An Ed25519 public key (RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"
    kid: str
    x: str


class Jwks(Answer):
    """A key set (RFC 7517)."""

    keys: list[Jwk]


@router.get("/.well-known/jwks.json", responses=problems())
async def jwks(calls: CallsDependency, response: Response) -> Jwks:
    """The public keys that access tokens verify with."""
    answer = await calls.anonymous(calls.auth.GetJwks, auth.GetJwksRequest())
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    return Jwks(keys=[Jwk(kid=key.kid, x=key.x) for key in answer.keys])
