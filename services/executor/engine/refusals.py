"""Why ComfyUI refused a prompt (docs/comfyui-protocol.md §2)."""

import httpx

from services.executor.engine.errors import RunRefused

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


def refusal(answer: httpx.Response) -> RunRefused:
    """What the answer to a prompt finds wrong: the first fault of a node, else that of the whole graph."""
    try:
        body = answer.json()
        faults = [fault for node in body["node_errors"].values() for fault in node["errors"]]
        faults += [body["error"]] if "error" in body else []
        kind = next((fault["type"] for fault in faults if fault["type"] in _KNOWN), "refused")
        # Not the whole body: its `received_value` may be the prompt's text.
        detail = "; ".join(f"{fault['type']}: {fault.get('details', '')}" for fault in faults)
    except (AttributeError, KeyError, TypeError, ValueError):
        kind, detail = "refused", answer.text
    return RunRefused(kind, f"{answer.status_code} {detail[:1000]}")
