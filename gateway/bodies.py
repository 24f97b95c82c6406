"""What JSON bodies are made of. Requests are checked for types only; every rule about a value is the services'."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Double = Annotated[float, Field(allow_inf_nan=False)]
"""What the contracts' fields can hold: a protobuf message raises on anything else."""


class Body(BaseModel):
    """A request's JSON object: unknown fields are refused, `"64"` and `true` are not numbers; null means left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @field_validator("*")
    @classmethod
    def _is_unicode(cls, value: Any) -> Any:
        """JSON can spell half a surrogate pair, which no contract's string can hold."""
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("must be Unicode text")
        return value


class Answer(BaseModel):
    """A response's JSON object. The string below a field is its description in OpenAPI."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)
