"""What went wrong with something that a person wanted, as a view can show it in any language."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from api.problems import ApiError, Problem, Unreachable

OFFLINE = "offline"
"""No answer came: the network or the server is away."""

NOT_UNDERSTOOD = "not_understood"
"""An answer came that this client cannot read."""


@dataclass(frozen=True)
class Complaint:
    """Attributes:
    code: the gateway's, or one of those above.
    detail: one English sentence; empty for those above.
    fields: name of a field → what is wrong with it, in English.
    request_id: to quote when it is reported; may be empty.
    """

    code: str
    detail: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""

    @classmethod
    def about(cls, error: ApiError) -> "Complaint":
        if isinstance(error, Problem):
            return cls(error.code, error.detail, error.fields, error.request_id)
        return cls(OFFLINE if isinstance(error, Unreachable) else NOT_UNDERSTOOD)
