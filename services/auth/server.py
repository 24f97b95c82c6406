"""The RPCs of auth: proto ↔ domain."""

from typing import Any

import grpc
from google.protobuf import duration_pb2
from imagegen.auth.v1 import auth_service_pb2, auth_service_pb2_grpc, error_reason_pb2

from services.auth.domain import (
    ACCESS_LIFETIME,
    BadCredentials,
    EmailTaken,
    RefreshTokenInvalid,
    RefreshTokenReused,
    SessionId,
    Tokens,
    User,
    UserId,
    UsernameTaken,
    UserNotFound,
    parse_username,
)
from services.auth.service import Auth
from services.runtime.calls import person
from services.runtime.errors import ErrorTable, InvalidField
from services.runtime.protos import to_timestamp
from services.runtime.server import Server
from services.runtime.tokens import TokenVerifier, encode_key

ERRORS = ErrorTable(
    domain="auth.imagegen",
    reasons=error_reason_pb2.ErrorReason,
    rows={
        UsernameTaken: (grpc.StatusCode.ALREADY_EXISTS, error_reason_pb2.ERROR_REASON_USERNAME_TAKEN),
        EmailTaken: (grpc.StatusCode.ALREADY_EXISTS, error_reason_pb2.ERROR_REASON_EMAIL_TAKEN),
        BadCredentials: (grpc.StatusCode.UNAUTHENTICATED, error_reason_pb2.ERROR_REASON_BAD_CREDENTIALS),
        RefreshTokenInvalid: (grpc.StatusCode.UNAUTHENTICATED, error_reason_pb2.ERROR_REASON_REFRESH_TOKEN_INVALID),
        RefreshTokenReused: (grpc.StatusCode.UNAUTHENTICATED, error_reason_pb2.ERROR_REASON_REFRESH_TOKEN_REUSED),
        UserNotFound: (grpc.StatusCode.NOT_FOUND, error_reason_pb2.ERROR_REASON_USER_NOT_FOUND),
    },
)


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    def Register(self, request: auth_service_pb2.RegisterRequest, context: Any) -> auth_service_pb2.RegisterResponse:
        user = self._auth.register(_username(request.username), request.email, request.password)
        return auth_service_pb2.RegisterResponse(user=_to_proto(user))

    def Login(self, request: auth_service_pb2.LoginRequest, context: Any) -> auth_service_pb2.LoginResponse:
        tokens = self._auth.login(request.username, request.password)
        return auth_service_pb2.LoginResponse(tokens=_tokens_to_proto(tokens))

    def Refresh(self, request: auth_service_pb2.RefreshRequest, context: Any) -> auth_service_pb2.RefreshResponse:
        tokens = self._auth.refresh(request.refresh_token)
        return auth_service_pb2.RefreshResponse(tokens=_tokens_to_proto(tokens))

    def Logout(self, request: auth_service_pb2.LogoutRequest, context: Any) -> auth_service_pb2.LogoutResponse:
        if request.refresh_token:
            self._auth.logout_by_token(request.refresh_token)
        else:
            self._auth.logout(SessionId(person().session_id))
        return auth_service_pb2.LogoutResponse()

    def GetMe(self, request: auth_service_pb2.GetMeRequest, context: Any) -> auth_service_pb2.GetMeResponse:
        return auth_service_pb2.GetMeResponse(user=_to_proto(self._auth.get_user(_caller())))

    def UpdateMe(self, request: auth_service_pb2.UpdateMeRequest, context: Any) -> auth_service_pb2.UpdateMeResponse:
        user = self._auth.update_user(
            _caller(),
            username=_username(request.username) if request.HasField("username") else None,
            email=request.email if request.HasField("email") else None,
        )
        return auth_service_pb2.UpdateMeResponse(user=_to_proto(user))

    def GetJwks(self, request: auth_service_pb2.GetJwksRequest, context: Any) -> auth_service_pb2.GetJwksResponse:
        keys = self._auth.list_public_keys()
        return auth_service_pb2.GetJwksResponse(
            keys=[auth_service_pb2.Jwk(kid=str(key.id), x=encode_key(key.public_key)) for key in keys]
        )


def auth_server(auth: Auth, verifier: TokenVerifier, *, threads: int) -> Server:
    """AuthService on a server of its own. `threads` bounds how many passwords are hashed at once."""

    def register(server: grpc.aio.Server) -> None:
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(AuthServicer(auth), server)

    services = [auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"]]
    return Server(services, register, verifier=verifier, errors=ERRORS, threads=threads)


def _caller() -> UserId:
    return UserId(person().user_id)


def _username(text: str) -> str:
    """Raises InvalidField."""
    try:
        return parse_username(text)
    except ValueError as error:
        raise InvalidField([("username", str(error))]) from error


def _to_proto(user: User) -> auth_service_pb2.User:
    return auth_service_pb2.User(
        id=str(user.id), username=user.username, email=user.email, create_time=to_timestamp(user.created_at)
    )


def _tokens_to_proto(tokens: Tokens) -> auth_service_pb2.Tokens:
    expires_in = duration_pb2.Duration()
    expires_in.FromTimedelta(ACCESS_LIFETIME)
    return auth_service_pb2.Tokens(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token, expires_in=expires_in
    )
