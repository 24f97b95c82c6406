"""Accounts: registering, signing in and out, and what a person does with the own account."""

from datetime import datetime
from typing import Literal, Self

from fastapi import APIRouter, Request, Response
from imagegen.auth.v1 import auth_service_pb2 as auth
from pydantic import ConfigDict

from gateway.bodies import Answer, Body
from gateway.clients import CallsDependency
from gateway.idempotency import REPLAYED, IdempotencyKey, replayed
from gateway.problems import SIGNED_IN, WITH_BODY, problems
from gateway.security import ALSO_ANONYMOUS, signed_in
from services.runtime.protos import from_enum, from_timestamp

PASSWORD_SECONDS = 10.0
"""Argon2 is slow on purpose, and a busy auth lets those who give a password wait for a core."""

DEVICE_LENGTH = 200
"""Of a session's device, as the contract has it."""

router = APIRouter(prefix="/api/v1/auth", tags=["auth"])


class Registration(Body):
    contract = auth.RegisterRequest
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"username": "lin", "email": "lin@example.com", "password": "correct horse battery"}]
        }
    )

    username: str
    email: str
    password: str


class Credentials(Body):
    """`username` may also be the e-mail address."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"username": "lin", "password": "correct horse battery"}]}
    )

    username: str
    password: str


class RefreshToken(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"refresh_token": "r1.Zk3q…"}]})

    refresh_token: str


class NewPassword(Body):
    contract = auth.ChangePasswordRequest
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"current_password": "correct horse battery", "new_password": "staple of the battery"}]
        }
    )

    current_password: str
    new_password: str


class Password(Body):
    """To confirm what cannot be undone."""

    contract = auth.DeleteMeRequest
    model_config = ConfigDict(json_schema_extra={"examples": [{"password": "correct horse battery"}]})

    password: str


class Changes(Body):
    """Only what is to change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "lin@example.org"}]})

    username: str | None = None
    email: str | None = None


class User(Answer):
    id: str
    username: str
    email: str
    role: Literal["user", "operator"]
    created_at: datetime

    @classmethod
    def from_proto(cls, user: auth.User) -> Self:
        return cls(
            id=user.id,
            username=user.username,
            email=user.email,
            role=from_enum(auth.Role, user.role),
            created_at=from_timestamp(user.create_time),
        )


class Tokens(Answer):
    """What a signed-in client keeps: the names of RFC 6749 §5.1."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a scheme's name, not a secret
    expires_in: int
    """Seconds that the access token is good for."""

    @classmethod
    def from_proto(cls, tokens: auth.Tokens) -> Self:
        return cls(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in.seconds,
        )


@router.post(
    "/register",
    status_code=201,
    responses={
        201: {"headers": REPLAYED},
        **problems(*WITH_BODY, "username_taken", "email_taken", "request_id_reused", "too_many_attempts"),
    },
)
async def register(
    body: Registration, calls: CallsDependency, response: Response, idempotency_key: IdempotencyKey = ""
) -> User:
    """Create an account. It does not sign in."""
    request = auth.RegisterRequest(request_id=idempotency_key, **body.model_dump())
    answer = await calls.anonymous(calls.auth.Register, request, seconds=PASSWORD_SECONDS)
    response.headers.update(replayed(answer.replayed))
    return User.from_proto(answer.user)


@router.post("/login", responses=problems(*WITH_BODY, "bad_credentials", "too_many_attempts"))
async def login(body: Credentials, calls: CallsDependency, request: Request) -> Tokens:
    """Open a session."""
    device = "".join(filter(str.isprintable, request.headers.get("user-agent", "")))[:DEVICE_LENGTH]
    message = auth.LoginRequest(device=device, **body.model_dump())
    answer = await calls.anonymous(calls.auth.Login, message, seconds=PASSWORD_SECONDS)
    return Tokens.from_proto(answer.tokens)


@router.post("/refresh", responses=problems(*WITH_BODY, "refresh_token_invalid", "refresh_token_reused"))
async def refresh(body: RefreshToken, calls: CallsDependency) -> Tokens:
    """Exchange a refresh token, which is good for one exchange, for new tokens of the same session."""
    answer = await calls.anonymous(calls.auth.Refresh, auth.RefreshRequest(refresh_token=body.refresh_token))
    return Tokens.from_proto(answer.tokens)


@router.post(
    "/logout",
    status_code=204,
    dependencies=[signed_in],
    openapi_extra=ALSO_ANONYMOUS,
    responses=problems(*WITH_BODY, *SIGNED_IN),
)
async def logout(calls: CallsDependency, body: RefreshToken | None = None) -> None:
    """End a session: the one of the refresh token, else the one of the access token."""
    if body:
        await calls.anonymous(calls.auth.Logout, auth.LogoutRequest(refresh_token=body.refresh_token))
    else:
        await calls.unary(calls.auth.Logout, auth.LogoutRequest())


@router.get("/me", dependencies=[signed_in], responses=problems(*SIGNED_IN, "user_not_found"))
async def get_me(calls: CallsDependency) -> User:
    """The caller's account."""
    answer = await calls.unary(calls.auth.GetMe, auth.GetMeRequest())
    return User.from_proto(answer.user)


@router.patch(
    "/me",
    dependencies=[signed_in],
    responses=problems(*WITH_BODY, *SIGNED_IN, "username_taken", "email_taken", "user_not_found"),
)
async def update_me(body: Changes, calls: CallsDependency) -> User:
    """Change the caller's account."""
    answer = await calls.unary(calls.auth.UpdateMe, auth.UpdateMeRequest(**body.model_dump(exclude_none=True)))
    return User.from_proto(answer.user)


@router.delete(
    "/me",
    status_code=204,
    dependencies=[signed_in],
    responses=problems(*WITH_BODY, *SIGNED_IN, "wrong_password", "too_many_attempts", "user_not_found"),
)
async def delete_me(body: Password, calls: CallsDependency) -> None:
    """Delete the account with everything in it: tasks, of which the running ones are canceled, pictures, shares and
    keys. It cannot be undone; `GET /me/export` has all of it before.
    """
    request = auth.DeleteMeRequest(password=body.password)
    await calls.unary(calls.auth.DeleteMe, request, seconds=PASSWORD_SECONDS)


@router.post(
    "/password",
    status_code=204,
    dependencies=[signed_in],
    responses=problems(*WITH_BODY, *SIGNED_IN, "wrong_password", "too_many_attempts", "user_not_found"),
)
async def change_password(body: NewPassword, calls: CallsDependency) -> None:
    """Replace the password. Every other session ends; API keys stay."""
    request = auth.ChangePasswordRequest(**body.model_dump())
    await calls.unary(calls.auth.ChangePassword, request, seconds=PASSWORD_SECONDS)
