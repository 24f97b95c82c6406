"""The models on offer."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Header, Response
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import model_pb2

from gateway.bodies import Answer
from gateway.clients import CallsDependency
from gateway.negotiation import Language, preferred_language
from gateway.problems import problems
from gateway.security import ALSO_ANONYMOUS, signed_in
from services.runtime.protos import from_enum

router = APIRouter(prefix="/api/v1/models", tags=["models"])


class LocalizedText(Answer):
    en: str
    zh: str


class IntRange(Answer):
    min: int
    max: int


class DoubleRange(Answer):
    min: float
    max: float


class Limits(Answer):
    """Sizes in pixels; width and height are multiples of `size_multiple`."""

    width: IntRange
    height: IntRange
    size_multiple: int
    max_pixels: int
    steps: IntRange
    cfg: DoubleRange
    count: IntRange


class Defaults(Answer):
    """What fills in for parameters that a request leaves out."""

    width: int
    height: int
    steps: int
    cfg: float
    negative_prompt: str


class Model(Answer):
    name: str
    display_name: str
    display_names: LocalizedText
    description: str
    descriptions: LocalizedText
    license: str
    is_active: bool
    """The operator's switch."""
    available: bool
    """Whether tasks for it are accepted now; a cold model's tasks wait for a worker."""
    availability: Literal["available", "cold", "unavailable"]
    unavailable_reason: str | None
    limits: Limits
    defaults: Defaults
    negative_prompt_supported: bool

    @classmethod
    def from_proto(cls, model: model_pb2.Model, language: Language) -> Self:
        availability = from_enum(model_pb2.ModelAvailability, model.availability)
        return cls(
            name=model.name,
            display_name=getattr(model.display_name, language),
            display_names=LocalizedText.model_validate(model.display_name),
            description=getattr(model.description, language),
            descriptions=LocalizedText.model_validate(model.description),
            license=model.license,
            is_active=model.is_active,
            available=model.is_active and availability != "unavailable",
            availability=availability,
            unavailable_reason=model.unavailable_reason or None,
            limits=Limits.model_validate(model.limits),
            defaults=Defaults.model_validate(model.defaults),
            negative_prompt_supported=model.negative_prompt_supported,
        )


class Models(Answer):
    models: list[Model]


@router.get(
    "",
    dependencies=[signed_in],
    openapi_extra=ALSO_ANONYMOUS,
    responses=problems("token_invalid", "token_expired", "token_revoked", "scope_missing"),
)
async def list_models(
    calls: CallsDependency,
    response: Response,
    accept_language: Annotated[str, Header(alias="Accept-Language", examples=["zh-CN, en;q=0.5"])] = "",
) -> Models:
    """Every model on offer, the unavailable ones with the reason. Names come in Chinese or English, whichever the
    client prefers, and in both besides.
    """
    answer = await calls.unary(calls.generation.ListModels, generation.ListModelsRequest())
    language = preferred_language(accept_language)
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Language"
    return Models(models=[Model.from_proto(model, language) for model in answer.models])
