"""docs/models.md proves what it says: its example runs, its table is whole, its complaints are real ones."""

import re
import shutil
from pathlib import Path

import pytest
from pydantic import BaseModel

from services.executor.__main__ import main
from services.executor.engine.model import Model
from services.executor.engine.workflows import ManifestError, load_models
from tests.executor.sketch_process import SketchProcess

TEXT = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def block(kind):
    (found,) = re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)
    return found


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sdxl-ink.yaml").write_text(block("yaml"), encoding="utf-8")
    (tmp_path / "sdxl-ink.json").write_text(block("json"), encoding="utf-8")
    return tmp_path


def test_the_example_is_a_model_without_mistakes(folder):
    assert set(load_models(folder)) == {"sdxl-ink"}


@pytest.mark.parametrize(("arguments", "code"), [((), 1), (("--with=loras/ink.safetensors",), 0)])
def test_the_example_is_told_to_lack_its_lora_and_runs_with_it(folder, capsys, arguments, code):
    with SketchProcess(*arguments) as sketch:
        assert main(["models", "check", "--comfyui", sketch.url, "--models", str(folder)]) == code
    out = capsys.readouterr().out
    if code:
        assert out.partition("\n\n")[2] == block("text").partition("\n\n")[2]


def keys(part, prefix=""):
    """The keys that a manifest may have."""
    for name, field in part.model_fields.items():
        yield prefix + name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name in {"bindings", "limits"}:
            yield from keys(kind, f"{name}.")


def test_the_table_has_every_key_and_no_other():
    section = TEXT.partition("## Every key of a manifest")[2].partition("\n## ")[0]
    told = [key for row in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE) for key in re.findall("`(.*?)`", row)]
    assert sorted(told) == sorted(set(keys(Model)) - {"workflow"})


COMPLAINTS = re.findall(r"^\| `(a\..*?)` \|", TEXT, re.MULTILINE)


def test_the_complaints_about_the_folder_are_those_that_are_made(folder):
    made = set()
    original = block("yaml")
    for wrong in (
        ("licence:", "license:"),
        ('seed: ["3", seed]', 'seed: ["33", seed]'),
        ('seed: ["3", seed]', 'seed: ["3", noise_seed]'),
        ('seed: ["3", seed]', 'seed: ["3", model]'),
        ("file: sd_xl_base_1.0.safetensors", "file: x.safetensors"),
        ("steps: 25", "steps: 0"),
        ("steps: 25", "steps: 99"),
    ):
        assert wrong[0] in original
        made |= complaints(folder, original.replace(*wrong, 1), block("json"))
    made |= complaints(folder, original, '{\n "nodes": []\n}') | complaints(folder, original, None)
    made |= complaints(folder, None, block("json"))
    assert COMPLAINTS
    for told in COMPLAINTS:
        assert blurred(told) in {blurred(complaint) for complaint in made}, told


def blurred(complaint):
    """A complaint without what differs from manifest to manifest: line, model, and numbers of its limits."""
    reason = re.sub(r"^a\.(\w+):\d+", r"a.\1", complaint)
    return re.sub(r"from \d+ to \d+|input \w+ of", "…", reason)


def complaints(folder, manifest, workflow):
    shutil.rmtree(folder)
    folder.mkdir()
    for suffix, text in (("yaml", manifest), ("json", workflow)):
        if text is not None:
            (folder / f"a.{suffix}").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as error:
        load_models(folder)
    return {str(mistake) for mistake in error.value.mistakes}
