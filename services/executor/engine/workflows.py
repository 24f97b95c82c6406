"""Reading the folder of models: `<name>.yaml`, the manifest, beside `<name>.json`, the workflow in API format."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from services.executor.engine.model import Graph, Model, Real, Whole

# Keys and indexes from the manifest's root, as pydantic's `loc`.
Place = Sequence[str | int]

# Plainer than pydantic's own words.
_REASONS = {"extra_forbidden": "unknown key", "missing": "missing"}

_WRITTEN_BY_PEOPLE = {"prompt", "negative_prompt"}
_TEXT, _WHOLE, _REAL = (str,), (int,), (int, float)
_LITERALS: Mapping[str, tuple[type, ...]] = {
    "prompt": _TEXT,
    "negative_prompt": _TEXT,
    "seed": _WHOLE,
    "steps": _WHOLE,
    "cfg": _REAL,
    "width": _WHOLE,
    "height": _WHOLE,
    "count": _WHOLE,
    "filename_prefix": _TEXT,
}


@dataclass(frozen=True)
class Mistake:
    """What is wrong, and where: `line` counts from 1."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class ManifestError(Exception):
    """The folder's models cannot be used as they stand.

    Attributes:
        mistakes: all that were found, in the order of the files.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


def load_models(folder: Path) -> Mapping[str, Model]:
    """The models that a folder describes, by name, in order of display: the quickest first.

    Raises:
        ManifestError: a manifest or a workflow is wrong, or there is none.
    """
    models: dict[str, Model] = {}
    mistakes: list[Mistake] = []
    manifests = sorted(folder.glob("*.yaml"))
    if not manifests:
        mistakes.append(Mistake(str(folder), 1, "no manifest (*.yaml) in this folder"))
    mistakes.extend(
        Mistake(path.name, 1, f"no manifest {path.stem}.yaml beside this workflow")
        for path in sorted(folder.glob("*.json"))
        if path.with_suffix(".yaml") not in manifests
    )
    for path in manifests:
        try:
            manifest = _Manifest(path)
            model = manifest.model()
        except ManifestError as error:
            mistakes.extend(error.mistakes)
        except RecursionError:
            mistakes.append(Mistake(path.name, 1, "this manifest or its workflow is nested without end"))
        else:
            if model.name in models:
                mistakes.append(manifest.mistake(["name"], f"another model is called {model.name}"))
            models[model.name] = model
    if mistakes:
        raise ManifestError(mistakes)
    return dict(sorted(models.items(), key=lambda named: (named[1].cost_seconds, named[0])))


class _Manifest:
    """A manifest's text, which knows the line of each of its values."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            text = path.read_text(encoding="utf-8")
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            self._data = yaml.safe_load(text)
        except OSError as error:
            raise ManifestError([Mistake(path.name, 1, f"cannot be read: {error.strerror}")]) from error
        except (ValueError, yaml.YAMLError) as error:  # a ValueError is a text that is not UTF-8, or a day like 99
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or str(error)
            line = mark.line + 1 if mark else 1
            raise ManifestError([Mistake(path.name, line, f"not YAML: {reason}")]) from error
        if not isinstance(self._data, dict):
            raise ManifestError([Mistake(path.name, 1, "not a mapping of keys to values")])

    def mistake(self, place: Place, reason: str) -> Mistake:
        """A mistake at the line of the innermost part of `place` that is there; of equal keys the last counts."""
        line, node = 1, self._root
        for part in place:
            if isinstance(node, yaml.MappingNode):
                entry = next(((key, value) for key, value in reversed(node.value) if key.value == part), None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                entry = (node.value[part], node.value[part])
            else:
                entry = None
            if entry is None:
                break
            line, node = entry[0].start_mark.line + 1, entry[1]
        return Mistake(self._path.name, line, ": ".join([".".join(map(str, place)), reason]))

    def model(self) -> Model:
        """Raises ManifestError."""
        mistakes = [self.mistake(place, "appears twice") for place in _repeated_keys(self._root)]
        if "workflow" in self._data:
            mistakes.append(self.mistake(["workflow"], "unknown key"))
        try:
            workflow = _read_workflow(self._path.with_suffix(".json"))
        except ManifestError as error:
            mistakes.extend(error.mistakes)
            workflow = None
        try:
            model = Model.model_validate({**self._data, "workflow": workflow or {}})
        except ValidationError as error:
            mistakes.extend(
                self.mistake(fault["loc"], _REASONS.get(fault["type"], fault["msg"])) for fault in error.errors()
            )
            raise ManifestError(mistakes) from error
        if workflow is not None:
            mistakes.extend(self.mistake(place, reason) for place, reason in _contradictions(model))
        if mistakes:
            raise ManifestError(mistakes)
        return model


def _repeated_keys(node: yaml.Node | None, place: tuple[str, ...] = ()) -> Iterator[Place]:
    """The keys that YAML would let win silently over an earlier one."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            here = (*place, str(key.value))
            if key.value in seen:
                yield here
            seen.add(key.value)
            yield from _repeated_keys(value, here)


def _read_workflow(path: Path) -> Graph:
    """Raises ManifestError."""
    try:
        text = path.read_text(encoding="utf-8")
        graph = json.loads(text, parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise ManifestError([Mistake(path.name, 1, "this workflow is missing")]) from error
    except OSError as error:
        raise ManifestError([Mistake(path.name, 1, f"cannot be read: {error.strerror}")]) from error
    except ValueError as error:
        raise ManifestError([Mistake(path.name, getattr(error, "lineno", 1), f"not JSON: {error}")]) from error
    if not isinstance(graph, dict) or not graph:
        raise ManifestError([Mistake(path.name, 1, "not a workflow in API format (Export (API) in ComfyUI)")])
    mistakes = [
        Mistake(path.name, _line_of_key(text, node), f"node {node}: {reason}")
        for node, body in graph.items()
        for reason in _node_faults(body, graph)
    ]
    if mistakes:
        raise ManifestError(mistakes)
    return graph


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _line_of_key(text: str, key: str) -> int:
    lines = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if f"{json.dumps(key)}:" in line), 1)


def _node_faults(body: Any, graph: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(body, dict) or not isinstance(body.get("class_type"), str):
        yield "no class_type; only the API format can run"
    elif not isinstance(body.get("inputs"), dict):
        # Such a node, where nothing refers to it, kills ComfyUI's worker thread (docs/comfyui-protocol.md §7.1).
        yield "no inputs"
    else:
        for name, value in body["inputs"].items():
            if isinstance(value, list) and not _is_link(value, graph):
                yield f"input {name} is linked to a node that is not there"


def _is_link(value: list[Any], graph: Mapping[str, Any]) -> bool:
    """Whether a value is [node id, output slot]. The id is text: ComfyUI fails on 1 (docs/comfyui-protocol.md §2)."""
    match value:
        case [str(node), int(slot)]:
            return node in graph and type(slot) is int and slot >= 0
    return False


def _contradictions(model: Model) -> Iterator[tuple[Place, str]]:
    """Where a well-formed manifest does not fit its workflow or itself."""
    yield from _misplaced_bindings(model)
    if model.output_node not in model.workflow:
        yield ["output_node"], f"the workflow has no node {model.output_node}"
    elif model.output_node not in dict(model.bindings.filename_prefix):
        # Without it a run may be handed another run's picture (docs/comfyui-protocol.md §7.3).
        yield ["bindings", "filename_prefix"], f"must be bound to the output node {model.output_node}"
    literals = [value for node in model.workflow.values() for value in node["inputs"].values()]
    for index, file in enumerate(model.files):
        if file.file not in literals:
            yield ["files", index, "file"], f"no node of the workflow names {file.file}"
    for slot, limit in model.limits:
        default = getattr(model.defaults, slot, None)
        if isinstance(limit, Whole | Real) and default is not None and not limit.admits(default):
            yield ["defaults", slot], f"must be {limit}"
    if model.defaults.width * model.defaults.height > model.limits.max_pixels:
        yield ["defaults", "width"], f"width times height must be at most {model.limits.max_pixels}"
    bound = "cfg" in model.supports
    for part, value in (("limits", model.limits.cfg), ("defaults", model.defaults.cfg)):
        if bound != (value is not None):
            yield [part, "cfg"], "must be given" if bound else "has no binding"


def _misplaced_bindings(model: Model) -> Iterator[tuple[Place, str]]:
    taken: dict[tuple[str, str], str] = {}
    for slot, targets in model.bindings:
        for node, name in targets or ():
            place = ["bindings", slot]
            inputs = model.workflow.get(node, {}).get("inputs", {})
            if node not in model.workflow:
                yield place, f"the workflow has no node {node}"
            elif name not in inputs:
                yield place, f"node {node} has no input {name}"
            elif isinstance(inputs[name], list):
                yield place, f"input {name} of node {node} is a link"
            elif type(inputs[name]) not in _LITERALS[slot]:
                kind = type(inputs[name]).__name__
                yield place, f"input {name} of node {node} is of type {kind}"
            elif node == model.output_node and slot in _WRITTEN_BY_PEOPLE:
                yield place, f"node {node} saves the pictures: what people write must not name files"
            elif (node, name) in taken:
                yield place, f"input {name} of node {node} is bound to {taken[node, name]} too"
            taken[node, name] = slot
