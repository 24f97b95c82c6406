"""From exceptions to `google.rpc.Status`: the errors any service may answer with, and the table that maps them.

A context lists its own domain errors in one `ErrorTable` beside its servicer; what is in neither table is a bug,
logged in full and answered as a bare INTERNAL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from imagegen.runtime.v1 import error_reason_pb2 as reasons


class InvalidField(Exception):
    """Fields break a rule of the contract: [(field, what is wrong with it)]."""

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in violations))
        self.violations = violations


class InvalidCursor(Exception):
    """A page token or event cursor that this service did not make."""

    def __init__(self, field: str) -> None:
        super().__init__("the cursor was not made by this service")
        self.violations = [(field, "was not made by this service")]


class TokenMissing(Exception):
    def __init__(self) -> None:
        super().__init__("this call needs a token")


class TokenInvalid(Exception):
    def __init__(self) -> None:
        super().__init__("the token is not valid here")


class TokenExpired(Exception):
    def __init__(self) -> None:
        super().__init__("the token has expired")


class TokenRevoked(Exception):
    """Its session or API key has been ended, or the account is gone."""

    def __init__(self) -> None:
        super().__init__("the token has been revoked")


class ScopeMissing(Exception):
    """The API key is good for other calls. `scope` is what it lacks; empty: no key may call this."""

    def __init__(self, scope: str) -> None:
        needs = f"a key with the scope {scope!r}" if scope else "a session, not an API key"
        super().__init__(f"this call needs {needs}")


class CallerNotAllowed(Exception):
    def __init__(self) -> None:
        super().__init__("this caller may not call this")


class DependencyUnavailable(Exception):
    """Something that the service stands on is away."""

    retry_after = 1.0

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not available now")


@dataclass(frozen=True)
class ErrorTable:
    """Domain errors and their wire codes: exception type → (status code, number in the generated enum `reasons`).

    An exception may carry `metadata` ({name: text} → ErrorInfo), `violations` ([(field, text)] → BadRequest) and
    `retry_after` (seconds → RetryInfo).
    """

    domain: str
    reasons: Any
    rows: Mapping[type[Exception], tuple[grpc.StatusCode, int]]

    def status(self, error: Exception) -> status_pb2.Status | None:
        """The wire form of an error, or None if it is not in the table."""
        for kind, (code, reason) in self.rows.items():
            if isinstance(error, kind):
                return self._status(error, code, self.reasons.Name(reason).removeprefix("ERROR_REASON_"))
        return None

    def _status(self, error: Exception, code: grpc.StatusCode, reason: str) -> status_pb2.Status:
        info = error_details_pb2.ErrorInfo(reason=reason, domain=self.domain, metadata=getattr(error, "metadata", None))
        details: list[any_pb2.Any] = [pack(info)]
        if violations := getattr(error, "violations", None):
            fields = [error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in violations]
            details.append(pack(error_details_pb2.BadRequest(field_violations=fields)))
        if retry_after := getattr(error, "retry_after", None):
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(int(retry_after * 1000))
            details.append(pack(error_details_pb2.RetryInfo(retry_delay=delay)))
        return status_pb2.Status(code=code.value[0], message=str(error), details=details)


def pack(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def details_of(error: grpc.aio.AioRpcError) -> list[any_pb2.Any]:
    """The details of the `google.rpc.Status` that a call failed with; none if it came without."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            return list(status_pb2.Status.FromString(value).details)
    return []


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """`ErrorInfo.reason` of a call that failed; empty if it came without."""
    for part in details_of(error):
        info = error_details_pb2.ErrorInfo()
        if part.Unpack(info):
            return str(info.reason)
    return ""


RUNTIME_ERRORS = ErrorTable(
    domain="imagegen",
    reasons=reasons.ErrorReason,
    rows={
        InvalidField: (grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_INVALID_FIELD),
        InvalidCursor: (grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_INVALID_CURSOR),
        TokenMissing: (grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_MISSING),
        TokenInvalid: (grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_INVALID),
        TokenExpired: (grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_EXPIRED),
        TokenRevoked: (grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_REVOKED),
        ScopeMissing: (grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_SCOPE_MISSING),
        CallerNotAllowed: (grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_CALLER_NOT_ALLOWED),
        DependencyUnavailable: (grpc.StatusCode.UNAVAILABLE, reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE),
    },
)

INTERNAL = status_pb2.Status(code=grpc.StatusCode.INTERNAL.value[0], message="an internal error; it has been logged")
