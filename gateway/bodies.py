"""What JSON bodies and queries are made of. Bodies are checked for types only; every rule about a value is the
services', and OpenAPI shows it as the contract has it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 64.0 is 64."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Int32 = Annotated[int, BeforeValidator(_whole), Field(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, BeforeValidator(_whole), Field(ge=-(2**63), lt=2**63)]
Double = Annotated[float, Field(allow_inf_nan=False)]
"""What the contracts' fields can hold: a protobuf message raises on anything else."""

NoNul = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""A text of the query: no database holds the character NUL."""

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def _rfc_3339(text: Any) -> Any:
    """Pydantic itself would also take seconds since 1970, and a space where a `+` was not percent-encoded."""
    if not RFC_3339.fullmatch(str(text)):
        raise ValueError("must be a time as in RFC 3339, with its offset: 2026-06-01T12:00:00Z")
    return text


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a time between the years 1 and 9999") from error


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc_3339), AfterValidator(_to_utc)]


class Body(BaseModel):
    """A request's JSON object: unknown fields are refused, `"64"` and `true` are not numbers; null means left out.

    `contract` is the message whose fields of the same names say what values are taken.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    contract: ClassVar[type[Message] | None] = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        fields: Mapping[str, Any] = cls.contract.DESCRIPTOR.fields_by_name if cls.contract else {}
        for name, shown in handler.resolve_ref_schema(schema)["properties"].items():
            if name in fields:
                shown.get("anyOf", [shown])[0].update(_rules(fields[name]))
        return schema

    @field_validator("*")
    @classmethod
    def _is_unicode(cls, value: Any) -> Any:
        """JSON can spell half a surrogate pair, which no contract's string can hold."""
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("must be Unicode text")
        return value


_KEYWORDS = {
    "min_len": "minLength",
    "max_len": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "gt": "exclusiveMinimum",
    "gte": "minimum",
    "lte": "maximum",
}


def _rules(field: FieldDescriptor) -> dict[str, Any]:
    """A contract's rules for a field, in JSON Schema's words, as far as that has any."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    kind = rules.WhichOneof("type")
    given = getattr(rules, kind).ListFields() if kind else []
    # A span's bounds are messages; it is a number of seconds here, with bounds of its own.
    return {
        _KEYWORDS[rule.name]: value
        for rule, value in given
        if rule.name in _KEYWORDS and not isinstance(value, Message)
    }


class Answer(BaseModel):
    """A response's JSON object. The string below a field is its description in OpenAPI."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)
