"""A LoRA is part of a workflow, and its file one of the model's: nothing about it is special."""

import io
import json
from contextlib import closing
from uuid import uuid4

import pytest
from PIL import Image

from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.model import ModelFile, Parameters
from services.executor.engine.workflows import ManifestError, load_models
from services.executor.settings import ServerSettings
from tests.executor.sketch_process import SketchProcess

PRESETS = ServerSettings.model_fields["models_dir"].default
INK = ModelFile(folder="loras", file="ink.safetensors")
ASKED = Parameters(prompt="a lighthouse", width=64, height=64, steps=2, cfg=7.0, seed=3)


def a_model(folder, lora="ink.safetensors", strength=0.8):
    """SD 1.5 with a LoRA between its checkpoint and everything that follows."""
    workflow = json.loads((PRESETS / "sd15.json").read_text())
    for node in workflow.values():
        for name, value in node["inputs"].items():
            if value in (["4", 0], ["4", 1]):
                node["inputs"][name] = ["10", value[1]]
    workflow["10"] = {
        "class_type": "LoraLoader",
        "inputs": {
            "lora_name": lora,
            "strength_model": strength,
            "strength_clip": strength,
            "model": ["4", 0],
            "clip": ["4", 1],
        },
    }
    manifest = (PRESETS / "sd15.yaml").read_text(encoding="utf-8").replace("name: sd15", "name: sd15-ink", 1)
    manifest = manifest.replace("files:\n", f"files:\n  - {{folder: loras, file: {lora}}}\n", 1)
    folder.mkdir()
    (folder / "sd15-ink.json").write_text(json.dumps(workflow, indent=2))
    (folder / "sd15-ink.yaml").write_text(manifest, encoding="utf-8")
    return load_models(folder)["sd15-ink"]


@pytest.fixture(scope="module")
def engine():
    with (
        SketchProcess("--with=loras/ink.safetensors", "--with=loras/oil.safetensors") as sketch,
        closing(ComfyUI(sketch.url)) as engine,
    ):
        engine.start()
        yield engine


def painted(engine, model):
    """The pixels alone: a PNG of ComfyUI has the graph in it."""
    prompt_id = uuid4()
    graph = model.graph(ASKED, prompt_id)
    (picture,) = engine.run(prompt_id, graph, output_node=model.output_node, on_event=lambda _: None)
    return Image.open(io.BytesIO(picture)).tobytes()


def test_a_model_with_a_lora_is_missing_it_where_the_engine_has_not_its_file(engine, tmp_path):
    model = a_model(tmp_path / "models")
    folders = {file.folder for file in model.files}
    assert model.missing(engine.files(folders)) == []
    with SketchProcess() as bare, closing(ComfyUI(bare.url)) as other:
        assert model.missing(other.files(folders)) == [INK]


def test_a_lora_and_its_strength_change_the_picture(engine, tmp_path):
    models = [
        a_model(tmp_path / "ink"),
        a_model(tmp_path / "faint", strength=0.2),
        a_model(tmp_path / "oil", lora="oil.safetensors"),
        load_models(PRESETS)["sd15"],
    ]
    assert len({painted(engine, model) for model in models}) == 4
    assert painted(engine, models[0]) == painted(engine, models[0])


def test_a_lora_that_no_node_loads_is_a_mistake(tmp_path):
    a_model(tmp_path / "models")
    manifest = tmp_path / "models" / "sd15-ink.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("ink.safetensors", "inc.safetensors"))
    with pytest.raises(ManifestError, match=r"^sd15-ink.yaml:8: files.0.file: no node .* names inc.safetensors$"):
        load_models(tmp_path / "models")
