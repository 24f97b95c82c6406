"""Where the caller is signed in, and signing out there."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from imagegen.auth.v1 import auth_service_pb2 as auth

from gateway.bodies import Answer
from gateway.clients import CallsDependency
from gateway.problems import SIGNED_IN, problems
from gateway.security import signed_in
from services.runtime.protos import from_timestamp

router = APIRouter(prefix="/api/v1/auth/sessions", tags=["auth"], dependencies=[signed_in])


class Session(Answer):
    """One sign-in."""

    id: str
    device: str
    """What signed in, as it described itself (`User-Agent`); may be empty."""
    created_at: datetime
    last_used_at: datetime
    """When it last signed in or refreshed its tokens."""
    expires_at: datetime
    """When it ends if it is not refreshed before."""
    is_current: bool
    """Whether it is the one that asks."""

    @classmethod
    def from_proto(cls, session: auth.Session) -> Self:
        return cls(
            id=session.id,
            device=session.device,
            created_at=from_timestamp(session.create_time),
            last_used_at=from_timestamp(session.last_use_time),
            expires_at=from_timestamp(session.expire_time),
            is_current=session.is_current,
        )


class Sessions(Answer):
    sessions: list[Session]


@router.get("", responses=problems(*SIGNED_IN))
async def list_sessions(calls: CallsDependency) -> Sessions:
    """Where the caller is signed in, newest first."""
    answer = await calls.unary(calls.auth.ListSessions, auth.ListSessionsRequest())
    return Sessions(sessions=[Session.from_proto(session) for session in answer.sessions])


@router.delete("/{session_id}", status_code=204, responses=problems(*SIGNED_IN, "session_not_found"))
async def end_session(session_id: UUID, calls: CallsDependency) -> None:
    """Sign out there. Its tokens count no longer, everywhere within a second."""
    await calls.unary(calls.auth.EndSession, auth.EndSessionRequest(session_id=str(session_id)))


@router.delete("", status_code=204, responses=problems(*SIGNED_IN))
async def logout_everywhere(calls: CallsDependency) -> None:
    """Sign out everywhere, here too. API keys stay."""
    await calls.unary(calls.auth.LogoutEverywhere, auth.LogoutEverywhereRequest())
