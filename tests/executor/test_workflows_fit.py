"""Whether an engine would take a workflow: by what a real ComfyUI declares (object_info.json), and as sketch judges."""

import copy
import json
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.fit import misfits
from services.executor.engine.workflows import load_models
from services.executor.settings import ServerSettings
from tests.executor.sketch_process import SketchProcess

PRESETS = load_models(ServerSettings.model_fields["models_dir"].default)
SD15 = PRESETS["sd15"]
NODES = json.loads(Path(__file__).with_name("object_info.json").read_text())


@pytest.fixture(scope="module")
def sketch():
    with SketchProcess() as process:
        yield process


def changed(node, **inputs):
    """SD 1.5 with other inputs at a node; None takes one away."""
    workflow = copy.deepcopy(SD15.workflow)
    given = workflow[node]["inputs"] | inputs
    workflow[node]["inputs"] = {name: value for name, value in given.items() if value is not None}
    return SD15.model_copy(update={"workflow": workflow})


def told(model, nodes=NODES):
    return [str(misfit) for misfit in misfits(model, nodes, absent=frozenset(file.file for file in model.files))]


@pytest.mark.parametrize("model", PRESETS.values(), ids=PRESETS)
def test_a_preset_fits_a_real_comfyui(model):
    assert told(model) == []


REFUSED = [
    (
        changed("3", sampler_name="eulr"),
        "node 3 (KSampler): sampler_name: 'eulr' is no choice; the nearest of 44: euler, heun",
    ),
    (changed("3", denoise=1.5), "node 3 (KSampler): denoise: 1.5 is above 1.0"),
    (changed("3", steps=0), "node 3 (KSampler): steps: 0 is below 1"),
    (changed("3", steps="many"), "node 3 (KSampler): steps: 'many' is no INT"),
    (changed("3", cfg={"no": "number"}), "node 3 (KSampler): cfg: {'no': 'number'} is no FLOAT"),
    (changed("3", scheduler=None), "node 3 (KSampler): lacks the input scheduler"),
    (changed("3", model=["4", 1]), "node 3 (KSampler): model: gets CLIP for MODEL"),
    (changed("3", model=["4", 3]), "node 3 (KSampler): model: node 4 has no output 3"),
]


@pytest.mark.parametrize(("model", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_comfyui_would_refuse_is_told_with_its_node(model, reason):
    (only,) = told(model)
    assert only == reason


@pytest.mark.parametrize("model", [model for model, _ in REFUSED], ids=[reason for _, reason in REFUSED])
def test_what_is_told_is_refused_by_the_engine_too(sketch, model):
    answer = httpx.post(f"{sketch.url}/prompt", json={"prompt": model.workflow, "prompt_id": str(uuid4())})
    assert answer.status_code == 400


@pytest.mark.parametrize("model", [SD15, changed("3", steps="7"), changed("3", unheard_of=1)], ids=range(3))
def test_what_the_engine_takes_is_no_misfit(sketch, model):
    assert told(model) == []
    answer = httpx.post(f"{sketch.url}/prompt", json={"prompt": model.workflow, "prompt_id": str(uuid4())})
    assert answer.status_code == 200


def test_a_node_that_the_engine_lacks_is_told_once(sketch):
    workflow = copy.deepcopy(SD15.workflow)
    workflow["4"]["class_type"] = "MagicLoader"
    model = SD15.model_copy(update={"workflow": workflow})
    with closing(ComfyUI(sketch.url)) as engine:
        nodes = {body["class_type"]: engine.node_info(body["class_type"]) for body in workflow.values()}
    assert nodes["MagicLoader"] is None
    assert told(model, nodes) == ["node 4 (MagicLoader): this ComfyUI has no such node"]


def test_limits_that_the_node_does_not_go_along_with_are_told():
    limits = SD15.limits.model_copy(update={"steps": SD15.limits.steps.model_copy(update={"max": 20_000})})
    model = SD15.model_copy(update={"limits": limits})
    assert told(model) == ["node 3 (KSampler): steps: the manifest's limit: 20000 is above 10000"]


def test_an_input_that_grows_is_given_by_its_parts():
    nodes = copy.deepcopy(NODES)
    nodes["SaveImage"]["input"]["required"]["extras"] = ["COMFY_AUTOGROW_V3", {}]
    assert told(changed("9", **{"extras.first": ["8", 0]}), nodes) == []
    assert told(SD15, nodes) == ["node 9 (SaveImage): lacks the input extras"]


def test_an_output_node_that_saves_nothing_is_told():
    assert told(SD15.model_copy(update={"output_node": "8"})) == ["node 8 (VAEDecode): saves no pictures"]


def test_a_file_of_the_wrong_folder_is_no_choice_of_its_loader():
    nodes = NODES | {"CheckpointLoaderSimple": copy.deepcopy(NODES["CheckpointLoaderSimple"])}
    nodes["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] = []
    (only,) = misfits(SD15, nodes)
    file = "v1-5-pruned-emaonly-fp16.safetensors"
    assert only.reason == f"ckpt_name: '{file}' is no choice; there are no choices"
    assert misfits(SD15, nodes, absent=frozenset({file})) == []


@pytest.mark.parametrize(
    ("given", "wanted", "fits"),
    [
        ("*", "MODEL", True),
        ("MODEL", "*", True),
        ("MODEL", "MODEL,CLIP", True),
        ("MODEL,VAE", "MODEL,CLIP", False),
        ("MODEL", "COMFY_MATCHTYPE_V3", True),
        (["a", "b"], "COMBO", True),
    ],
)
def test_types_of_custom_nodes_are_compared_as_comfyui_does(given, wanted, fits):
    nodes = copy.deepcopy(NODES)
    nodes["CheckpointLoaderSimple"]["output"][0] = given
    nodes["KSampler"]["input"]["required"]["model"] = [wanted]
    assert bool(told(SD15, nodes)) is not fits
