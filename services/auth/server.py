"""The RPCs of auth: proto ↔ domain."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
from google.protobuf import duration_pb2
from imagegen.auth.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    error_reason_pb2,
    identity_service_pb2,
    identity_service_pb2_grpc,
)
from imagegen.runtime.v1 import access_pb2

from services.auth.api_keys import ApiKeys
from services.auth.authority import LocalAuthority, Revoked
from services.auth.domain import (
    ACCESS_LIFETIME,
    ApiKey,
    ApiKeyId,
    ApiKeyNotFound,
    BadCredentials,
    EmailTaken,
    PasswordRefused,
    RefreshTokenInvalid,
    RefreshTokenReused,
    RequestIdReused,
    Scope,
    ScopeNotAllowed,
    Session,
    SessionId,
    SessionNotFound,
    Tokens,
    TooManyApiKeys,
    TooManyAttempts,
    User,
    UserId,
    UsernameTaken,
    UserNotFound,
    WrongPassword,
    parse_username,
)
from services.auth.erasures import Erasures
from services.auth.service import Auth
from services.runtime.calls import client_address, person, service
from services.runtime.errors import ErrorTable, InvalidField
from services.runtime.protos import from_enum, to_enum, to_timestamp
from services.runtime.server import Server
from services.runtime.tokens import TokenVerifier, encode_key

ON_THE_WAY = timedelta(seconds=1)
"""Who keeps a token gets a new one this much before it expires, so that no call sets out with one that is not good
any more when it arrives.
"""

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
        TooManyAttempts: (grpc.StatusCode.RESOURCE_EXHAUSTED, error_reason_pb2.ERROR_REASON_TOO_MANY_ATTEMPTS),
        WrongPassword: (grpc.StatusCode.PERMISSION_DENIED, error_reason_pb2.ERROR_REASON_WRONG_PASSWORD),
        SessionNotFound: (grpc.StatusCode.NOT_FOUND, error_reason_pb2.ERROR_REASON_SESSION_NOT_FOUND),
        ApiKeyNotFound: (grpc.StatusCode.NOT_FOUND, error_reason_pb2.ERROR_REASON_API_KEY_NOT_FOUND),
        RequestIdReused: (grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_REQUEST_ID_REUSED),
        TooManyApiKeys: (grpc.StatusCode.RESOURCE_EXHAUSTED, error_reason_pb2.ERROR_REASON_TOO_MANY_API_KEYS),
    },
)


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    def __init__(self, auth: Auth, api_keys: ApiKeys) -> None:
        self._auth = auth
        self._api_keys = api_keys

    def Register(self, request: auth_service_pb2.RegisterRequest, context: Any) -> auth_service_pb2.RegisterResponse:
        username = _username(request.username)
        with _naming("password", PasswordRefused):
            user, replayed = self._auth.register(
                username, request.email, request.password, request_id=request.request_id, address=client_address()
            )
        return auth_service_pb2.RegisterResponse(user=_to_proto(user), replayed=replayed)

    def Login(self, request: auth_service_pb2.LoginRequest, context: Any) -> auth_service_pb2.LoginResponse:
        tokens = self._auth.login(request.username, request.password, device=request.device, address=client_address())
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

    def DeleteMe(self, request: auth_service_pb2.DeleteMeRequest, context: Any) -> auth_service_pb2.DeleteMeResponse:
        self._auth.delete_user(_caller(), request.password)
        return auth_service_pb2.DeleteMeResponse()

    def ChangePassword(
        self, request: auth_service_pb2.ChangePasswordRequest, context: Any
    ) -> auth_service_pb2.ChangePasswordResponse:
        with _naming("new_password", PasswordRefused):
            self._auth.change_password(
                _caller(), request.current_password, request.new_password, keep=person().session_id
            )
        return auth_service_pb2.ChangePasswordResponse()

    def ListSessions(
        self, request: auth_service_pb2.ListSessionsRequest, context: Any
    ) -> auth_service_pb2.ListSessionsResponse:
        sessions = self._auth.list_sessions(_caller())
        return auth_service_pb2.ListSessionsResponse(
            sessions=[_session_to_proto(session, current=person().session_id) for session in sessions]
        )

    def EndSession(
        self, request: auth_service_pb2.EndSessionRequest, context: Any
    ) -> auth_service_pb2.EndSessionResponse:
        self._auth.end_session(_caller(), SessionId(UUID(request.session_id)))
        return auth_service_pb2.EndSessionResponse()

    def LogoutEverywhere(
        self, request: auth_service_pb2.LogoutEverywhereRequest, context: Any
    ) -> auth_service_pb2.LogoutEverywhereResponse:
        self._auth.logout_everywhere(_caller())
        return auth_service_pb2.LogoutEverywhereResponse()

    def CreateApiKey(
        self, request: auth_service_pb2.CreateApiKeyRequest, context: Any
    ) -> auth_service_pb2.CreateApiKeyResponse:
        lifetime = request.expires_in.ToTimedelta() if request.HasField("expires_in") else None
        scopes = frozenset(Scope(from_enum(access_pb2.Scope, scope) or "") for scope in request.scopes)
        with _naming("scopes", ScopeNotAllowed):
            key, secret = self._api_keys.create(_caller(), request.request_id, request.name, scopes, lifetime)
        return auth_service_pb2.CreateApiKeyResponse(api_key=_key_to_proto(key), secret=secret, replayed=not secret)

    def ListApiKeys(
        self, request: auth_service_pb2.ListApiKeysRequest, context: Any
    ) -> auth_service_pb2.ListApiKeysResponse:
        keys = self._api_keys.list_of(_caller())
        return auth_service_pb2.ListApiKeysResponse(api_keys=map(_key_to_proto, keys))

    def RevokeApiKey(
        self, request: auth_service_pb2.RevokeApiKeyRequest, context: Any
    ) -> auth_service_pb2.RevokeApiKeyResponse:
        self._api_keys.revoke(_caller(), ApiKeyId(UUID(request.api_key_id)))
        return auth_service_pb2.RevokeApiKeyResponse()

    def GetJwks(self, request: auth_service_pb2.GetJwksRequest, context: Any) -> auth_service_pb2.GetJwksResponse:
        keys = self._auth.list_public_keys()
        return auth_service_pb2.GetJwksResponse(
            keys=[auth_service_pb2.Jwk(kid=str(key.id), x=encode_key(key.public_key)) for key in keys]
        )


class IdentityServicer(identity_service_pb2_grpc.IdentityServiceServicer):
    def __init__(self, api_keys: ApiKeys, erasures: Erasures, authority: LocalAuthority) -> None:
        self._api_keys = api_keys
        self._erasures = erasures
        self._authority = authority

    def ExchangeApiKey(
        self, request: identity_service_pb2.ExchangeApiKeyRequest, context: Any
    ) -> identity_service_pb2.ExchangeApiKeyResponse:
        token, expires_at = self._api_keys.exchange(request.api_key)
        return identity_service_pb2.ExchangeApiKeyResponse(
            access_token=token, expire_time=to_timestamp(expires_at - ON_THE_WAY)
        )

    async def WatchRevocations(
        self, request: identity_service_pb2.WatchRevocationsRequest, context: Any
    ) -> AsyncIterator[identity_service_pb2.WatchRevocationsResponse]:
        async with aclosing(self._authority.watch()) as changes:
            async for revoked in changes:
                yield _revocations_to_proto(revoked)

    def ListErasures(
        self, request: identity_service_pb2.ListErasuresRequest, context: Any
    ) -> identity_service_pb2.ListErasuresResponse:
        return identity_service_pb2.ListErasuresResponse(user_ids=map(str, self._erasures.pending(service())))

    def AcknowledgeErasure(
        self, request: identity_service_pb2.AcknowledgeErasureRequest, context: Any
    ) -> identity_service_pb2.AcknowledgeErasureResponse:
        self._erasures.acknowledge(service(), UserId(UUID(request.user_id)))
        return identity_service_pb2.AcknowledgeErasureResponse()


def auth_server(
    auth: Auth,
    api_keys: ApiKeys,
    erasures: Erasures,
    authority: LocalAuthority,
    verifier: TokenVerifier,
    *,
    threads: int,
) -> Server:
    """AuthService and IdentityService on one server. `threads` bounds how many passwords are hashed at once."""

    def register(server: grpc.aio.Server) -> None:
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(AuthServicer(auth, api_keys), server)
        identity = IdentityServicer(api_keys, erasures, authority)
        identity_service_pb2_grpc.add_IdentityServiceServicer_to_server(identity, server)

    services = [
        auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"],
        identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"],
    ]
    return Server(services, register, verifier=verifier, errors=ERRORS, threads=threads)


def _caller() -> UserId:
    return UserId(person().user_id)


def _username(text: str) -> str:
    """Raises InvalidField."""
    with _naming("username", ValueError):
        return parse_username(text)


@contextmanager
def _naming(field: str, kind: type[ValueError]) -> Iterator[None]:
    """Raises InvalidField with the text of such an error."""
    try:
        yield
    except kind as error:
        raise InvalidField([(field, str(error))]) from error


def _to_proto(user: User) -> auth_service_pb2.User:
    return auth_service_pb2.User(
        id=str(user.id),
        username=user.username,
        email=user.email,
        create_time=to_timestamp(user.created_at),
        role=to_enum(auth_service_pb2.Role, user.role),
    )


def _session_to_proto(session: Session, current: UUID) -> auth_service_pb2.Session:
    return auth_service_pb2.Session(
        id=str(session.id),
        device=session.device,
        create_time=to_timestamp(session.created_at),
        last_use_time=to_timestamp(session.last_used_at),
        expire_time=to_timestamp(session.expires_at),
        is_current=session.id == current,
    )


def _key_to_proto(key: ApiKey) -> auth_service_pb2.ApiKey:
    return auth_service_pb2.ApiKey(
        id=str(key.id),
        name=key.name,
        scopes=sorted(to_enum(access_pb2.Scope, scope) for scope in key.scopes),
        prefix=key.prefix,
        create_time=to_timestamp(key.created_at),
        expire_time=to_timestamp(key.expires_at),
        last_use_time=to_timestamp(key.last_used_at),
        revoke_time=to_timestamp(key.revoked_at),
    )


def _revocations_to_proto(revoked: Revoked) -> identity_service_pb2.WatchRevocationsResponse:
    rows = [
        identity_service_pb2.Revocation(sid=str(sid), expire_time=to_timestamp(expiry))
        for sid, expiry in revoked.items()
    ]
    return identity_service_pb2.WatchRevocationsResponse(revocations=rows)


def _tokens_to_proto(tokens: Tokens) -> auth_service_pb2.Tokens:
    expires_in = duration_pb2.Duration()
    expires_in.FromTimedelta(ACCESS_LIFETIME)
    return auth_service_pb2.Tokens(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token, expires_in=expires_in
    )
