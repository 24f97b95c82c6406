"""What can go wrong with a call: the gateway refuses it (problem+json, RFC 9457), or cannot be reached."""

from dataclasses import dataclass, field

import httpx

UNREADABLE = "unreadable"
"""The code of an error whose body is not the gateway's: a proxy answered in its place."""


class ApiError(Exception):
    """A call did not do what it was for."""


class Unreachable(ApiError):
    """No answer came: the network or the server is away. Whether the call was carried out is not known."""


class UnknownAnswer(ApiError):
    """The answer is not what the API promises: the gateway is of another version, or something stands before it."""


@dataclass
class Problem(ApiError):
    """The gateway's refusal.

    Attributes:
        status: of HTTP.
        code: one of a fixed list, the gateway's /problems shows it.
        detail: one English sentence for a person.
        fields: name of a field of the body (or of a parameter or header) → what is wrong with it, in English.
        request_id: to quote when it is reported.
        retry_after: seconds after which a retry may help; None if that was not said.
    """

    status: int
    code: str
    detail: str
    fields: dict[str, str] = field(default_factory=dict)
    request_id: str = ""
    retry_after: float | None = None

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status >= 500 or self.status == 429

    @classmethod
    def of(cls, response: httpx.Response) -> "Problem":
        """Reads the body of a response, which must have been received."""
        try:
            body = response.json()
            code, detail = str(body["code"]), str(body["detail"])
        except (ValueError, KeyError, TypeError):
            return cls(response.status_code, UNREADABLE, response.reason_phrase, retry_after=_retry_after(response))
        errors = body.get("errors") or ()
        return cls(
            response.status_code,
            code,
            detail,
            {_name(error): str(error.get("detail", "")) for error in errors},
            str(body.get("request_id", "")),
            _retry_after(response),
        )


def _name(error: dict[str, str]) -> str:
    """`#/prompt` → `prompt`."""
    return (error.get("pointer") or error.get("parameter") or error.get("header") or "").removeprefix("#/")


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return float(response.headers["retry-after"])
    except (KeyError, ValueError):  # RFC 9110 §10.2.3 allows a date, too; the gateway sends seconds
        return None
