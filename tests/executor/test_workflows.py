"""Models from manifests: what goes into a graph."""

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.executor.engine.model import ModelFile, Parameters
from services.executor.engine.workflows import load_models

WORKFLOW = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
    "5": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 0,
            "steps": 20,
            "cfg": 7.0,
            "sampler_name": "euler",
            "model": ["1", 0],
            "positive": ["2", 0],
            "negative": ["3", 0],
            "latent_image": ["4", 0],
        },
    },
    "6": {"class_type": "SaveImage", "inputs": {"filename_prefix": "image", "images": ["5", 0]}},
}
MANIFEST = """\
name: tiny
display_name: {en: Tiny, zh: 小}
description: {en: A tiny model., zh: 小模型。}
licence: MIT
files:
  - {folder: checkpoints, file: tiny.safetensors}
bindings:
  prompt: ["2", text]
  negative_prompt: ["3", text]
  seed: ["5", seed]
  steps: ["5", steps]
  cfg: ["5", cfg]
  width: ["4", width]
  height: ["4", height]
  count: ["4", batch_size]
  filename_prefix: ["6", filename_prefix]
output_node: "6"
limits:
  width: {min: 64, max: 2048, multiple_of: 8}
  height: {min: 64, max: 2048, multiple_of: 8}
  max_pixels: 1048576
  steps: {min: 1, max: 50}
  cfg: {min: 1, max: 20}
  count: {min: 1, max: 4}
defaults: {width: 512, height: 512, steps: 20, cfg: 7, count: 1}
cost_seconds: 2
"""
PROMPT_ID = UUID("0192f0c1-2e3a-7b4c-8d5e-6f708192a3b4")
ASKED = Parameters(prompt="a cat", negative_prompt="a dog", width=640, height=480, steps=9, cfg=4.5, seed=11, count=2)


def lay_out(folder):
    """The manifest and the workflow of one right model."""
    (folder / "tiny.yaml").write_text(MANIFEST, encoding="utf-8")
    (folder / "tiny.json").write_text(json.dumps(WORKFLOW, indent=2))
    return folder


@pytest.fixture
def folder(tmp_path):
    return lay_out(tmp_path)


@pytest.fixture
def tiny(folder):
    return load_models(folder)["tiny"]


def test_each_value_goes_to_the_input_it_is_bound_to(tiny):
    inputs = {node: body["inputs"] for node, body in tiny.graph(ASKED, PROMPT_ID).items()}
    assert inputs["2"]["text"] == "a cat"
    assert inputs["3"]["text"] == "a dog"
    assert inputs["4"] == {"width": 640, "height": 480, "batch_size": 2}
    assert (inputs["5"]["seed"], inputs["5"]["steps"], inputs["5"]["cfg"]) == (11, 9, 4.5)
    assert inputs["6"]["filename_prefix"] == f"imagegen/{PROMPT_ID}/image"


def test_what_is_not_bound_stays_as_the_workflow_has_it(tiny):
    graph = tiny.graph(ASKED, PROMPT_ID)
    assert graph["1"] == WORKFLOW["1"]
    assert graph["5"]["inputs"]["sampler_name"] == "euler"


TEXTS = st.text() | st.sampled_from(
    [
        '["4", 0]',
        '{"class_type": "SaveImage", "inputs": {}}',
        '{"__value__": ["1", 0]}',
        "%date:yyyy-MM-dd% %width% %Empty Latent Image.width%",
        "../../etc/passwd",
        "C:\\\\windows\\\\..",
        "\x00\x1b[31m\r\n\x7f\u202e",
        "🦊" * 25_000,
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompt=TEXTS,
    negative_prompt=TEXTS,
    width=st.integers(8, 128).map(lambda n: 8 * n),
    height=st.integers(8, 128).map(lambda n: 8 * n),
    steps=st.integers(1, 50),
    cfg=st.floats(1, 20) | st.integers(1, 20),
    seed=st.integers(0, 2**53 - 1),
    count=st.integers(1, 4),
    prompt_id=st.uuids(),
)
def test_nothing_but_the_bound_inputs_ever_changes(tiny, prompt_id, **asked):
    graph = tiny.graph(Parameters(**asked), prompt_id)
    bound = {(node, name): slot for slot, targets in tiny.bindings for node, name in targets}
    values = asked | {"filename_prefix": f"imagegen/{prompt_id}/image"}
    expected = {
        node: body
        | {"inputs": {k: values[bound[node, k]] if (node, k) in bound else v for k, v in body["inputs"].items()}}
        for node, body in WORKFLOW.items()
    }
    assert graph == expected
    # As it goes over the wire: UTF-8 and no NaN.
    assert json.loads(json.dumps(graph, ensure_ascii=False, allow_nan=False).encode()) == expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(slot=st.sampled_from(sorted(vars(ASKED))), value=ANYTHING)
def test_whatever_comes_as_a_value_is_refused_by_name_or_has_the_type_of_its_input(tiny, slot, value):
    try:
        graph = tiny.graph(replace(ASKED, **{slot: value}), PROMPT_ID)
    except ValueError as error:
        assert str(error).startswith(f"{slot}: ")
    else:
        ((node, name),) = dict(tiny.bindings)[slot]
        assert graph[node]["inputs"][name] is value
        assert type(value) in ((int, float) if slot == "cfg" else (type(WORKFLOW[node]["inputs"][name]),))


def test_a_graph_shares_nothing_with_the_next_one(tiny):
    tiny.graph(ASKED, PROMPT_ID)["5"]["inputs"]["positive"].append("changed")
    assert tiny.graph(ASKED, PROMPT_ID)["5"]["inputs"]["positive"] == ["2", 0]
    assert tiny.workflow == WORKFLOW


@pytest.mark.parametrize(
    "text", ['["1", 0]', '{"__value__": ["1", 0]}', "%width%", "../../etc", 'a "cat"\n{}', "猫", ""]
)
def test_a_prompt_is_plain_text_whatever_it_looks_like(tiny, text):
    graph = tiny.graph(replace(ASKED, prompt=text), PROMPT_ID)
    assert graph["2"]["inputs"]["text"] == text
    assert graph == tiny.graph(ASKED, PROMPT_ID) | {"2": graph["2"]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ["1", 0]),
        ("prompt", None),
        ("negative_prompt", 3),
        ("prompt", b"a cat"),
        ("prompt", {"class_type": "SaveImage"}),
        ("prompt", "half of a pair: \ud83d"),
        ("negative_prompt", "\udc00"),
        ("width", 56),
        ("width", 2056),
        ("width", 100),
        ("width", "512"),
        ("width", 512.0),
        ("height", True),
        ("height", 0),
        ("steps", 0),
        ("steps", 51),
        ("cfg", 0.9),
        ("cfg", 20.1),
        ("cfg", float("nan")),
        ("cfg", float("inf")),
        ("cfg", -float("inf")),
        ("cfg", 10**400),
        ("cfg", -1),
        ("cfg", "7"),
        ("cfg", True),
        ("cfg", None),
        ("count", 0),
        ("count", 5),
        ("width", -64),
        ("width", 2**64),
        ("steps", 9.0),
        ("steps", True),
        ("count", -1),
        ("seed", True),
        ("seed", "11"),
        ("seed", float("nan")),
        ("seed", -1),
        ("seed", 2**53),
        ("seed", 1.0),
    ],
)
def test_a_value_out_of_its_limits_or_type_is_refused_by_name(tiny, field, value):
    with pytest.raises(ValueError, match=f"^{field}: "):
        tiny.graph(replace(ASKED, **{field: value}), PROMPT_ID)


def test_sides_that_are_right_may_be_too_many_pixels_together(tiny):
    tiny.graph(replace(ASKED, width=1024, height=1024), PROMPT_ID)
    with pytest.raises(ValueError, match=r"^width: .* 1048576"):
        tiny.graph(replace(ASKED, width=1024, height=1032), PROMPT_ID)


def test_the_largest_seed_survives_a_double(tiny):
    graph = tiny.graph(replace(ASKED, seed=2**53 - 1), PROMPT_ID)
    assert float(graph["5"]["inputs"]["seed"]) == 2**53 - 1


def test_a_model_without_the_binding_takes_neither_negative_prompt_nor_cfg(folder):
    lines = [line for line in MANIFEST.splitlines() if not line.startswith(("  negative_prompt", "  cfg"))]
    (folder / "tiny.yaml").write_text("\n".join(lines).replace("cfg: 7, ", ""), encoding="utf-8")
    plain = load_models(folder)["tiny"]
    asked = replace(ASKED, negative_prompt="", cfg=None)
    assert plain.supports == frozenset()
    assert plain.graph(asked, PROMPT_ID)["5"]["inputs"]["cfg"] == WORKFLOW["5"]["inputs"]["cfg"]
    for field, value in (("negative_prompt", "a dog"), ("cfg", 7.0)):
        with pytest.raises(ValueError, match=f"^{field}: "):
            plain.graph(replace(asked, **{field: value}), PROMPT_ID)


def test_one_value_may_go_to_several_inputs(folder):
    text = MANIFEST.replace('prompt: ["2", text]', 'prompt: [["2", text], ["3", text]]', 1)
    lines = [line for line in text.splitlines() if not line.startswith("  negative_prompt")]
    (folder / "tiny.yaml").write_text("\n".join(lines), encoding="utf-8")
    graph = load_models(folder)["tiny"].graph(replace(ASKED, negative_prompt=""), PROMPT_ID)
    assert graph["2"]["inputs"]["text"] == graph["3"]["inputs"]["text"] == "a cat"


def test_a_model_misses_the_files_that_the_engine_has_not(tiny):
    file = ModelFile(folder="checkpoints", file="tiny.safetensors")
    assert tiny.missing({}) == [file]
    assert tiny.missing({"checkpoints": frozenset({"other.safetensors"}), "vae": frozenset({file.file})}) == [file]
    assert tiny.missing({"checkpoints": frozenset({file.file})}) == []


def test_the_old_names_of_folders_mean_the_new_ones():
    assert ModelFile(folder="unet", file="x") == ModelFile(folder="diffusion_models", file="x")
    assert ModelFile(folder="clip", file="x") == ModelFile(folder="text_encoders", file="x")


def test_loading_is_guessed_to_take_ten_seconds_unless_the_manifest_says_otherwise(folder, tiny):
    assert tiny.load_seconds == 10
    (folder / "tiny.yaml").write_text(MANIFEST + "load_seconds: 2.5\n", encoding="utf-8")
    assert load_models(folder)["tiny"].load_seconds == 2.5


def test_runs_of_one_model_never_share_a_folder(tiny):
    prefixes = {tiny.graph(ASKED, uuid4())["6"]["inputs"]["filename_prefix"] for _ in range(100)}
    assert len(prefixes) == 100
