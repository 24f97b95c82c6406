"""What the contracts' answers hold, in the words of REST, written down here once more."""

from collections.abc import Callable
from typing import Any

from imagegen.auth.v1 import auth_service_pb2
from imagegen.generation.v1 import generation_service_pb2, model_pb2, task_pb2

from services.runtime.protos import from_enum, from_timestamp


def as_json(message: Any) -> Any:
    """A contract's answer, in the words of REST, written down here once more."""
    shown = SHOWN.get(type(message).__name__)
    return shown(message) if shown else {}


def moment(timestamp: Any) -> str:
    return from_timestamp(timestamp).isoformat().replace("+00:00", "Z")


def user(one: Any) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("id", "username", "email")}
    return {**told, "role": from_enum(auth_service_pb2.Role, one.role), "created_at": moment(one.create_time)}


def task(one: Any) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("id", "prompt", "negative_prompt", "model", "width", "height")}
    told |= {name: getattr(one, name) for name in ("steps", "cfg", "seed", "count", "cancel_requested")}
    told |= {
        "status": from_enum(task_pb2.TaskState, one.state),
        "created_at": moment(one.create_time),
        "started_at": moment(one.start_time) if one.HasField("start_time") else None,
        "finished_at": moment(one.finish_time) if one.HasField("finish_time") else None,
    }
    return told


def model(one: Any) -> dict[str, Any]:
    def numbers(part: Any, *names: str) -> dict[str, Any]:
        return {name: getattr(part, name) for name in names}

    limits, defaults = one.limits, one.defaults
    return {
        "name": one.name,
        "display_names": numbers(one.display_name, "en", "zh"),
        "descriptions": numbers(one.description, "en", "zh"),
        "license": one.license,
        "is_active": one.is_active,
        "availability": from_enum(model_pb2.ModelAvailability, one.availability),
        "unavailable_reason": one.unavailable_reason or None,
        "limits": {
            **{
                name: numbers(getattr(limits, name), "min", "max")
                for name in ("width", "height", "steps", "cfg", "count")
            },
            **numbers(limits, "size_multiple", "max_pixels"),
        },
        "defaults": numbers(defaults, "width", "height", "steps", "cfg", "negative_prompt"),
        "negative_prompt_supported": one.negative_prompt_supported,
    }


def suggestion(one: Any) -> dict[str, Any]:
    return {"text": one.text, "source": from_enum(generation_service_pb2.Suggestion.Source, one.source)}


def result(one: Any) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("id", "task_id", "index", "width", "height", "size_bytes", "sha256")}
    return {**told, "media_type": one.media_type, "created_at": moment(one.create_time)}


SHOWN: dict[str, Callable[[Any], Any]] = {
    "GetMeResponse": lambda message: user(message.user),
    **dict.fromkeys(
        ("CreateTaskResponse", "GetTaskResponse", "CancelTaskResponse"), lambda message: task(message.task)
    ),
    "ListTasksResponse": lambda message: {
        "tasks": [task(one) for one in message.tasks],
        "next_cursor": message.next_page_token or None,
    },
    "ListModelsResponse": lambda message: {"models": [model(one) for one in message.models]},
    "SuggestPromptsResponse": lambda message: {"suggestions": [suggestion(one) for one in message.suggestions]},
    "GetResultResponse": lambda message: result(message.result),
}


def shared(rest: Any, contract: Any, apart: frozenset[str]) -> Any:
    """What of REST's JSON the contract's answer has too. What REST alone has it composes (links, results) or words
    for a person (`display_name` in one language); `apart` is what each door's own call makes anew.
    """
    if isinstance(contract, dict):
        assert contract.keys() <= rest.keys() | apart
        return {name: shared(rest[name], value, apart) for name, value in contract.items() if name not in apart}
    if isinstance(contract, list):
        assert len(rest) == len(contract)
        return [shared(one, other, apart) for one, other in zip(rest, contract, strict=True)]
    return rest


def without(content: Any, apart: frozenset[str]) -> Any:
    if isinstance(content, dict):
        return {name: without(value, apart) for name, value in content.items() if name not in apart}
    return [without(one, apart) for one in content] if isinstance(content, list) else content
