"""The models that ship, checked against what a real ComfyUI 0.33 says of its nodes (object_info.json)."""

import copy
import json
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest

import services.executor.engine
from services.executor.engine.model import Parameters
from services.executor.engine.workflows import load_models

PRESETS = load_models(Path(services.executor.engine.__file__).parents[1] / "models")
NODES = json.loads(Path(__file__).with_name("object_info.json").read_text())

# Inputs whose options are the files that happen to lie in the engine's folder of that name.
FILE_INPUTS = {
    "ckpt_name": "checkpoints",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "unet_name": "diffusion_models",
    "vae_name": "vae",
}


def parameters(model, **changed):
    defaults = model.defaults.model_dump()
    return Parameters(**{"prompt": "a lighthouse", "seed": 7} | defaults | changed)


def faults(graph):
    """How a graph breaks what its nodes declare, as ComfyUI's own validation would see it."""
    for node, body in graph.items():
        declared = NODES.get(body["class_type"])
        if declared is None:
            yield f"{node}: no class {body['class_type']}"
            continue
        inputs = declared["input"]["required"] | declared["input"].get("optional", {})
        yield from (f"{node}: lacks {name}" for name in declared["input"]["required"].keys() - body["inputs"].keys())
        for name, value in body["inputs"].items():
            if name not in inputs:
                yield f"{node}: has no input {name}"
            elif isinstance(value, list):
                source, slot = value
                outputs = NODES.get(graph[source]["class_type"], {"output": []})["output"]
                given, wanted = outputs[slot] if slot < len(outputs) else None, inputs[name][0]
                if given != wanted:
                    yield f"{node}.{name}: gets {given} for {wanted}"
            elif name in FILE_INPUTS:
                if not (isinstance(value, str) and value.endswith(".safetensors")):
                    yield f"{node}.{name}: {value!r} is no file"
            elif not admits(*inputs[name], value=value):
                yield f"{node}.{name}: does not admit {value!r}"


def admits(kind, constraints=None, *, value):
    constraints = constraints or {}
    if isinstance(kind, list) or kind == "COMBO":
        return value in (kind if isinstance(kind, list) else constraints["options"])
    if kind in {"INT", "FLOAT"}:
        fits = type(value) is int or (kind == "FLOAT" and type(value) is float)
        return fits and constraints["min"] <= value <= constraints["max"]
    # Any other kind is another node's output, which no literal can be.
    return type(value) is {"STRING": str, "BOOLEAN": bool}.get(kind)


def test_the_five_presets_ship():
    assert set(PRESETS) == {"sd15", "sdxl", "sdxl-turbo", "sd35-medium", "flux-schnell"}


@pytest.mark.parametrize("model", PRESETS.values(), ids=PRESETS)
def test_a_preset_is_a_graph_that_comfyui_accepts(model):
    assert list(faults(model.workflow)) == []


@pytest.mark.parametrize("model", PRESETS.values(), ids=PRESETS)
def test_a_preset_stays_acceptable_at_every_corner_of_its_limits(model):
    ranges = {name: limit for name, limit in model.limits if hasattr(limit, "min")}
    for corner in product(*((limit.min, limit.max) for limit in ranges.values())):
        asked = parameters(model, **dict(zip(ranges, corner, strict=True)), seed=2**53 - 1)
        if asked.width * asked.height <= model.limits.max_pixels:
            assert list(faults(model.graph(asked, uuid4()))) == []


@pytest.mark.parametrize(
    ("node", "name", "value"),
    [
        ("3", "seed", 2**64),
        ("3", "seed", -1),
        ("3", "seed", "7"),
        ("3", "seed", True),
        ("3", "steps", 0),
        ("3", "steps", 20.0),
        ("3", "cfg", 100.5),
        ("3", "cfg", "8"),
        ("3", "denoise", 1.01),
        ("3", "sampler_name", "eulr"),
        ("3", "scheduler", "Normal"),
        ("3", "model", "4"),
        ("3", "model", ["4", 1]),
        ("3", "model", ["4", 3]),
        ("3", "latent_image", ["6", 0]),
        ("3", "noise_seed", 1),
        ("4", "ckpt_name", 7),
        ("5", "width", 8),
        ("6", "text", 1),
        ("9", "images", ["3", 0]),
    ],
)
def test_this_check_of_the_presets_sees_what_is_wrong(node, name, value):
    graph = copy.deepcopy(PRESETS["sd15"].workflow)
    graph[node]["inputs"][name] = value
    assert len(list(faults(graph))) == 1


@pytest.mark.parametrize("model", PRESETS.values(), ids=PRESETS)
def test_a_preset_saves_by_its_output_node_and_loads_the_files_it_names(model):
    assert model.workflow[model.output_node]["class_type"] == "SaveImage"
    loaded = [
        (FILE_INPUTS[name], value)
        for body in model.workflow.values()
        for name, value in body["inputs"].items()
        if name in FILE_INPUTS
    ]
    assert sorted(loaded) == sorted((file.folder, file.file) for file in model.files)


@pytest.mark.parametrize("model", PRESETS.values(), ids=PRESETS)
def test_a_preset_offers_the_sides_that_its_latent_can_have(model):
    for slot in ("width", "height"):
        for node, name in getattr(model.bindings, slot):
            constraints = NODES[model.workflow[node]["class_type"]]["input"]["required"][name][1]
            limit = getattr(model.limits, slot)
            assert limit.multiple_of % constraints["step"] == 0
            assert limit.min % limit.multiple_of == limit.max % limit.multiple_of == 0


@pytest.mark.parametrize("model", PRESETS.values(), ids=PRESETS)
def test_a_preset_run_untouched_does_what_its_defaults_say(model):
    untouched = parameters(model, prompt="", seed=0)
    graph = model.graph(untouched, uuid4())
    graph[model.output_node]["inputs"]["filename_prefix"] = "image"
    assert graph == model.workflow


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sdxl-turbo"])
@pytest.mark.parametrize(("width", "height"), [(64, 64), (72, 2048), (2048, 2048), (1368, 768)])
def test_these_presets_paint_any_multiple_of_eight(name, width, height):
    graph = PRESETS[name].graph(parameters(PRESETS[name], width=width, height=height), uuid4())
    (latent,) = (body["inputs"] for body in graph.values() if body["class_type"] == "EmptyLatentImage")
    assert (latent["width"], latent["height"]) == (width, height)


def test_only_schnell_goes_without_negative_prompt_and_cfg():
    assert {name for name, model in PRESETS.items() if not model.supports} == {"flux-schnell"}
    assert all(
        model.supports == {"negative_prompt", "cfg"} for name, model in PRESETS.items() if name != "flux-schnell"
    )


def test_the_distilled_models_take_few_steps_without_guidance():
    schnell, turbo = PRESETS["flux-schnell"], PRESETS["sdxl-turbo"]
    assert schnell.defaults.steps == 4
    assert {"BasicGuider", "EmptySD3LatentImage"} <= {body["class_type"] for body in schnell.workflow.values()}
    assert (turbo.limits.steps.min, turbo.limits.steps.max, turbo.defaults.cfg) == (1, 4, 1)


def test_a_heavier_model_is_guessed_to_load_longer():
    guess = {name: model.load_seconds for name, model in PRESETS.items()}
    assert guess["sd15"] < guess["sdxl"] == guess["sdxl-turbo"] < guess["sd35-medium"] < guess["flux-schnell"]
