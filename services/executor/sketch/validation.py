"""Is this graph fit to run? ComfyUI's checks with ComfyUI's words (docs/comfyui-protocol.md §2, recording 10)."""

import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from services.executor.sketch.node import Input, Node
from services.executor.sketch.prompt_queue import Graph

Problem = dict[str, Any]
Problems = dict[str, list[Problem]]

MAX_LISTED_OPTIONS = 20
"""A longer choice is not sent back whole."""

_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


class Verdict(NamedTuple):
    error: Problem | None
    """Why nothing at all can run; None if some output can."""
    outputs: list[str]
    """The output nodes that can run."""
    node_errors: dict[str, Any]


def problem(kind: str, message: str, details: str = "", **extra_info: Any) -> Problem:
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info}


def validate(graph: Graph, nodes: Mapping[str, Node], targets: list[str] | None) -> Verdict:
    """Judge a graph and coerce its values to their declared types, in place.

    Args:
        graph: The client's graph; anything but an object of objects raises, which HTTP answers with 500.
        nodes: The node classes by name.
        targets: The only output nodes to run, or None for all (`partial_execution_targets`).
    """
    outputs = []
    for node_id, node in graph.items():
        missing = _missing_class(node_id, node, nodes)
        if missing:
            return Verdict(missing, [], {})
        if nodes[node["class_type"]].is_output and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return Verdict(problem("prompt_no_outputs", "Prompt has no outputs"), [], {})
    judge = _Judge(graph, nodes)
    good: list[str] = []
    details: list[str] = []
    node_errors: dict[str, Any] = {}
    for output in outputs:
        if judge.accepts(output):
            good.append(output)
            continue
        details += [f"{each['message']}: {each['details']}" for each in judge.problems[output]]
        for node_id, problems in judge.problems.items():
            if problems:
                entry = {"errors": problems, "dependent_outputs": [], "class_type": graph[node_id]["class_type"]}
                node_errors.setdefault(node_id, entry)["dependent_outputs"].append(output)
    if good:
        return Verdict(None, good, node_errors)
    message = "Prompt outputs failed validation"
    return Verdict(problem("prompt_outputs_failed_validation", message, "\n".join(details)), [], node_errors)


def _missing_class(node_id: str, node: dict[str, Any], nodes: Mapping[str, Node]) -> Problem | None:
    class_type = node.get("class_type")
    if class_type in nodes:
        return None
    title = node.get("_meta", {}).get("title", class_type)
    if class_type is None:
        message = f"Node '{title or f'ID #{node_id}'}' has no class_type. "
        message += "The workflow may be corrupted or a custom node is missing."
    else:
        message = f"Node '{title}' not found. The custom node may not be installed."
    about = {"node_id": node_id, "class_type": class_type, "node_title": title}
    return problem("missing_node_type", message, f"Node ID '#{node_id}'", **about)


class _Judge:
    """Walks up the links from an output, once per node."""

    def __init__(self, graph: Graph, nodes: Mapping[str, Node]) -> None:
        self._graph = graph
        self._nodes = nodes
        self._accepted: dict[str, bool] = {}
        self._path: list[str] = []
        self.problems: Problems = {}
        """By node, in the order they were found; empty for a node that only has a bad one upstream."""

    def accepts(self, output: str) -> bool:
        try:
            return self._visit(output)
        except Exception as error:  # noqa: BLE001 - whatever a malformed link raises is the client's answer
            about = {"exception_type": type(error).__name__, "traceback": traceback.format_tb(error.__traceback__)}
            message = "Exception when validating node"
            self._refuse(output, [problem("exception_during_validation", message, str(error), **about)])
            return False
        finally:
            self._path.clear()

    def _refuse(self, node_id: str, problems: list[Problem]) -> None:
        self._accepted[node_id] = False
        self.problems[node_id] = problems

    def _visit(self, node_id: str) -> bool:
        if node_id in self._accepted:
            return self._accepted[node_id]
        if node_id in self._path:
            self._refuse_cycle(self._path[self._path.index(node_id) :])
            return False
        self._path.append(node_id)
        given = self._graph[node_id]["inputs"]
        node = self._nodes[self._graph[node_id]["class_type"]]
        found: list[Problem] = []
        upstream_good = True
        for name, declared in {**node.required, **node.optional}.items():
            if name not in given:
                if name in node.required:
                    message = "Required input is missing"
                    found.append(problem("required_input_missing", message, name, input_name=name))
                continue
            is_link = isinstance(given[name], list)
            bad = self._check_link(name, declared, given[name]) if is_link else _check_value(name, declared, given)
            if bad:
                found.append(bad)
            elif is_link:
                upstream_good &= self._visit_upstream(name, declared, given[name])
        self._path.pop()
        if node_id in self._accepted:  # refused meanwhile, as part of a cycle
            return False
        if found or not upstream_good:
            self._refuse(node_id, found)
            return False
        self._accepted[node_id] = True
        return True

    def _refuse_cycle(self, cycle: list[str]) -> None:
        names = [f"{node_id} ({self._graph[node_id]['class_type']})" for node_id in [*cycle, cycle[0]]]
        for node_id in cycle:
            about = {"node_id": node_id, "cycle_nodes": cycle}
            message = "Dependency cycle detected"
            self._refuse(node_id, [problem("dependency_cycle", message, " -> ".join(names), **about)])

    def _check_link(self, name: str, declared: Input, link: list[Any]) -> Problem | None:
        about = {"input_name": name, "input_config": declared}
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return problem("bad_linked_input", message, name, **about, received_value=link)
        source, slot = link
        received = self._nodes[self._graph[source]["class_type"]].outputs[slot]
        if received != declared[0]:
            message = "Return type mismatch between linked nodes"
            details = f"{name}, received_type({received}) mismatch input_type({declared[0]})"
            return problem("return_type_mismatch", message, details, **about, received_type=received, linked_node=link)
        return None

    def _visit_upstream(self, name: str, declared: Input, link: list[Any]) -> bool:
        depth = len(self._path)
        try:
            return self._visit(link[0])
        except Exception as error:  # noqa: BLE001 - as in accepts
            del self._path[depth:]
            about = {
                "input_name": name,
                "input_config": declared,
                "exception_message": str(error),
                "exception_type": type(error).__name__,
                "traceback": traceback.format_tb(error.__traceback__),
                "linked_node": link,
            }
            message = "Exception when validating inner node"
            self._refuse(link[0], [problem("exception_during_inner_validation", message, str(error), **about)])
            return False


def _check_value(name: str, declared: Input, given: dict[str, Any]) -> Problem | None:
    """Coerce one literal in place, then hold it against its declaration."""
    kind, options = declared
    value = given[name]
    about: dict[str, Any] = {"input_name": name, "input_config": declared}
    if isinstance(value, dict) and "__value__" in value:
        value = value["__value__"]
    try:
        if isinstance(kind, str) and kind in _CONVERSIONS:
            value = _CONVERSIONS[kind](value)
    except (TypeError, ValueError, OverflowError) as error:
        message = f"Failed to convert an input value to a {kind} value"
        details = f"{name}, {value}, {error}"
        about |= {"received_value": value, "exception_message": str(error)}
        return problem("invalid_input_type", message, details, **about)
    given[name] = value
    if "min" in options and value < options["min"]:
        message = f"Value {value} smaller than min of {options['min']}"
        return problem("value_smaller_than_min", message, name, **about, received_value=value)
    if "max" in options and value > options["max"]:
        message = f"Value {value} bigger than max of {options['max']}"
        return problem("value_bigger_than_max", message, name, **about, received_value=value)
    choices = kind if isinstance(kind, list) else options.get("options")
    if choices is not None and value not in choices:
        listed = str(choices)
        if len(choices) > MAX_LISTED_OPTIONS:
            listed = f"(list of length {len(choices)})"
            about["input_config"] = None
        details = f"{name}: '{value}' not in {listed}"
        return problem("value_not_in_list", "Value not in list", details, **about, received_value=value)
    return None
