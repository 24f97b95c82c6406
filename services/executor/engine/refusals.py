"""Whether ComfyUI accepted a prompt, and why not (docs/comfyui-protocol.md §2)."""

from http import HTTPStatus
from typing import Any

from services.executor.engine.errors import EngineUnavailable, RunRefused
from services.executor.engine.http import Answer

# The names of §2. A custom node may invent more, and those are not for showing.
_KNOWN = frozenset(
    {
        "bad_linked_input",
        "custom_validation_failed",
        "dependency_cycle",
        "exception_during_inner_validation",
        "exception_during_validation",
        "invalid_input_type",
        "missing_node_type",
        "prompt_no_outputs",
        "required_input_missing",
        "return_type_mismatch",
        "value_bigger_than_max",
        "value_not_in_list",
        "value_smaller_than_min",
    }
)
# aiohttp's own words for an exception in a handler; a proxy in between says it in others.
_HANDLER_RAISED = "500 Internal Server Error"


def refusal(answer: Answer) -> RunRefused | None:
    """What the answer to a prompt finds wrong: the first fault of a node, else that of the whole graph.

    None if the prompt was accepted whole. A refused one may all the same be queued: in part where the status is 200,
    whole where it is 500.

    Raises:
        EngineUnavailable: this is no answer of ComfyUI to a prompt.
    """
    match answer.status:
        case HTTPStatus.OK:
            return answer.parsed(lambda body: _blamed(answer, body) if body["node_errors"] else None)
        case HTTPStatus.BAD_REQUEST:
            return answer.parsed(lambda body: _blamed(answer, body, body["error"]))
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return RunRefused("refused", str(answer.status))
        case HTTPStatus.INTERNAL_SERVER_ERROR if answer.text.startswith(_HANDLER_RAISED):
            return RunRefused("refused", str(answer.status))
    raise EngineUnavailable("bad_answer", f"{answer.status} to {answer.path}")


def _blamed(answer: Answer, body: Any, *of_graph: Any) -> RunRefused:
    try:
        nodes = body["node_errors"]
        faults = [fault for node in nodes.values() for fault in node["errors"]] + list(of_graph)
        kind = next((fault["type"] for fault in faults if fault["type"] in _KNOWN), "refused")
    except (AttributeError, KeyError, TypeError):
        return RunRefused("refused", str(answer.status))
    return RunRefused(kind, " ".join([str(answer.status), *(f"node {node}" for node in nodes)])[:200])
