"""Whether an engine takes a model's workflow, by what the engine declares of its node classes (GET /object_info)."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.executor.engine.model import Model, Real, Whole

# Class -> its entry of GET /object_info; None for a class that the engine does not have.
Nodes = Mapping[str, Mapping[str, Any] | None]
Declaration = tuple[Any, Mapping[str, Any]]

_ANYTHING = "*"
# As ComfyUI does: "64" is 64 to it (docs/comfyui-protocol.md §0.2).
_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
_NEAREST = 2


@dataclass(frozen=True)
class Misfit:
    """What the engine would refuse, and at which node of the workflow."""

    node: str
    class_type: str
    reason: str

    def __str__(self) -> str:
        return f"node {self.node} ({self.class_type}): {self.reason}"


def misfits(model: Model, nodes: Nodes, *, absent: frozenset[str] = frozenset()) -> list[Misfit]:
    """Why the engine would refuse the workflow, or a value that the model's limits let into it.

    An input that a class does not declare is none of the reasons: ComfyUI ignores it.

    Args:
        model: the model.
        nodes: what the engine declares of each class in the workflow.
        absent: names of files that the engine lacks. That it does not offer them is no news.
    """
    found = []
    for node, body in model.workflow.items():
        declared = nodes.get(body["class_type"])
        reasons = (
            ["this ComfyUI has no such node"]
            if declared is None
            else [
                *_refused_inputs(model, node, declared, nodes, absent),
                *_refused_limits(model, node, declared),
                *(["saves no pictures"] if node == model.output_node and not declared["output_node"] else []),
            ]
        )
        found += [Misfit(node, body["class_type"], reason) for reason in reasons]
    return found


def _refused_inputs(
    model: Model, node: str, declared: Mapping[str, Any], nodes: Nodes, absent: frozenset[str]
) -> Iterator[str]:
    given = model.workflow[node]["inputs"]
    # An input that grows is given as name.part (COMFY_AUTOGROW_V3).
    named = {name.partition(".")[0] for name in given}
    yield from (f"lacks the input {name}" for name in declared["input"].get("required", {}) if name not in named)
    for name, declaration in _declarations(declared).items():
        if name not in given:
            continue
        value = given[name]
        if isinstance(value, list):
            reason = _refused_link(model, value, declaration[0], nodes)
        else:
            reason = None if isinstance(value, str) and value in absent else _refused_value(value, declaration)
        if reason is not None:
            yield f"{name}: {reason}"


def _refused_limits(model: Model, node: str, declared: Mapping[str, Any]) -> Iterator[str]:
    declarations = _declarations(declared)
    for slot, limit in model.limits:
        if not isinstance(limit, Whole | Real):
            continue
        for target, name in getattr(model.bindings, slot) or ():
            if target == node and name in declarations:
                reasons = [_refused_value(value, declarations[name]) for value in (limit.min, limit.max)]
                yield from (f"{name}: the manifest's limit: {reason}" for reason in reasons if reason is not None)


def _declarations(declared: Mapping[str, Any]) -> Mapping[str, Declaration]:
    """The inputs' types or choices, and their constraints, which may be left out."""
    inputs = declared["input"].get("required", {}) | declared["input"].get("optional", {})
    return {name: (each[0], each[1] if len(each) > 1 else {}) for name, each in inputs.items()}


def _refused_link(model: Model, link: list[Any], wanted: Any, nodes: Nodes) -> str | None:
    source, slot = link
    origin = nodes.get(model.workflow[source]["class_type"])
    if origin is None:
        return None  # that its class is missing is told where it stands
    outputs = origin["output"]
    if slot >= len(outputs):
        return f"node {source} has no output {slot}"
    given = outputs[slot]
    if isinstance(given, list) or isinstance(wanted, list) or _ANYTHING in (given, wanted):
        return None
    if set(given.split(",")) <= set(wanted.split(",")) or wanted.startswith("COMFY_"):
        return None
    return f"gets {given} for {wanted}"


def _refused_value(value: Any, declaration: Declaration) -> str | None:
    kind, constraints = declaration
    choices = kind if isinstance(kind, list) else constraints.get("options") if kind == "COMBO" else None
    if choices is not None:
        return None if value in choices else f"{value!r} is no choice; {_nearest(value, choices)}"
    if kind not in _CONVERSIONS:
        return None  # a custom node's own type
    try:
        value = _CONVERSIONS[kind](value)
    except (OverflowError, TypeError, ValueError):
        return f"{value!r} is no {kind}"
    least, most = constraints.get("min"), constraints.get("max")
    if least is not None and value < least:
        return f"{value!r} is below {least}"
    if most is not None and value > most:
        return f"{value!r} is above {most}"
    return None


def _nearest(value: Any, choices: list[Any]) -> str:
    if not choices:
        return "there are no choices"
    nearest = difflib.get_close_matches(str(value), map(str, choices), n=_NEAREST, cutoff=0)
    return f"the nearest of {len(choices)}: {', '.join(nearest)}"
