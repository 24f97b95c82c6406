"""The installed models as the contract shows them."""

from collections.abc import Collection, Mapping
from datetime import datetime

from imagegen.executor.v1 import model_pb2

from services.executor.domain import ModelUnavailable, ModelUnknown, ParameterOutOfRange, Spec
from services.executor.engine.model import Model, Parameters
from services.executor.scheduling.estimates import Hint
from services.executor.workers import Availability, Worker
from services.executor.workers import availability as availability_of
from services.runtime.protos import to_enum

Models = Mapping[str, Model]


def parameters_of(model: Model, spec: Spec) -> Parameters:
    """The job's values as the workflow takes them: a model without guidance gets none."""
    return Parameters(
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        width=spec.width,
        height=spec.height,
        steps=spec.steps,
        cfg=spec.cfg if "cfg" in model.supports else None,
        seed=spec.seed,
        count=spec.count,
    )


def check_job(
    models: Models, name: str, spec: Spec, *, workers: list[Worker], pools: Collection[str], now: datetime
) -> None:
    """Let a job pass that can run. Raises ModelUnknown, ModelUnavailable or ParameterOutOfRange."""
    model = models.get(name)
    if model is None:
        raise ModelUnknown(name)
    try:
        model.check(parameters_of(model, spec))
    except ValueError as error:
        raise ParameterOutOfRange(str(error)) from error
    if availability_of(name, workers, pools, now) is Availability.UNAVAILABLE:
        raise ModelUnavailable(name, unavailable_reason(model, workers))


def hints_of(models: Models) -> dict[str, Hint]:
    """What the manifests say of the models' seconds: of a run at the defaults, spread over its work, and of a load."""
    return {
        name: Hint(model.cost_seconds / _work_at_defaults(model), model.load_seconds) for name, model in models.items()
    }


def unavailable_reason(model: Model, workers: list[Worker]) -> str:
    """Names the files that are missing on the worker which comes nearest to having the model."""
    if not workers:
        return "No GPU worker has reported yet."
    missing: list[tuple[str, ...]] = [worker.missing[model.name] for worker in workers if model.name in worker.missing]
    files = min(missing, key=len) if missing else tuple(f"{file.folder}/{file.file}" for file in model.files)
    return f"No GPU worker has its files: {', '.join(files)}."


def to_proto(model: Model, workers: list[Worker], pools: Collection[str], now: datetime) -> model_pb2.Model:
    state = availability_of(model.name, workers, pools, now)
    reason = {
        Availability.AVAILABLE: "",
        Availability.COLD: "No GPU worker takes it now; tasks wait for one.",
        Availability.UNAVAILABLE: unavailable_reason(model, workers),
    }[state]
    limits, defaults = model.limits, model.defaults
    message = model_pb2.Model(
        name=model.name,
        display_name=model_pb2.LocalizedText(en=model.display_name.en, zh=model.display_name.zh),
        description=model_pb2.LocalizedText(en=model.description.en, zh=model.description.zh),
        license=model.licence,
        limits=model_pb2.ModelLimits(
            width=model_pb2.IntRange(min=limits.width.min, max=limits.width.max),
            height=model_pb2.IntRange(min=limits.height.min, max=limits.height.max),
            size_multiple=max(limits.width.multiple_of, limits.height.multiple_of),
            max_pixels=limits.max_pixels,
            steps=model_pb2.IntRange(min=limits.steps.min, max=limits.steps.max),
            count=model_pb2.IntRange(min=limits.count.min, max=limits.count.max),
        ),
        defaults=model_pb2.ModelDefaults(
            width=defaults.width, height=defaults.height, steps=defaults.steps, cfg=defaults.cfg or 0.0
        ),
        negative_prompt_supported="negative_prompt" in model.supports,
        availability=to_enum(model_pb2.ModelAvailability, state),
        unavailable_reason=reason,
    )
    if limits.cfg is not None:
        message.limits.cfg.CopyFrom(model_pb2.DoubleRange(min=limits.cfg.min, max=limits.cfg.max))
    return message


def _work_at_defaults(model: Model) -> float:
    defaults = model.defaults
    return float(defaults.width * defaults.height * defaults.steps * defaults.count)
