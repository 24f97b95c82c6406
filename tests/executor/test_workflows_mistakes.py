"""Which mistakes in manifests and workflows an operator is told of, and where they are."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.executor.engine.workflows import ManifestError, load_models
from tests.executor.test_workflows import MANIFEST, WORKFLOW, lay_out


@pytest.fixture
def folder(tmp_path):
    return lay_out(tmp_path)


def mistakes(folder):
    with pytest.raises(ManifestError) as error:
        load_models(folder)
    return [str(mistake) for mistake in error.value.mistakes]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("name: tiny", "name: Tiny Model", "tiny.yaml:1: name: "),
        ("licence: MIT", "license: MIT", "tiny.yaml:4: license: unknown key"),
        ("licence: MIT", "", "tiny.yaml:1: licence: missing"),
        ("licence: MIT", "licence: 2", "tiny.yaml:4: licence: "),
        ("licence: MIT", "licence: MIT\nworkflow: other.json", "tiny.yaml:5: workflow: unknown key"),
        ("licence: MIT", "licence: MIT\nlicence: BSD", "tiny.yaml:5: licence: appears twice"),
        ("licence: MIT", "licence: [MIT", "tiny.yaml:5: not YAML: "),
        ("licence: MIT", "licence: !!python/name:os.system", "tiny.yaml:4: not YAML: "),
        ("{en: Tiny, zh: 小}", "{en: Tiny}", "tiny.yaml:2: display_name.zh: missing"),
        (
            "file: tiny.safetensors",
            "file: tyni.safetensors",
            "tiny.yaml:6: files.0.file: no node of the workflow names",
        ),
        ("{folder: checkpoints, ", "{", "tiny.yaml:6: files.0.folder: missing"),
        ('seed: ["5", seed]', "seed: [5, seed]", "tiny.yaml:10: bindings.seed"),
        ('seed: ["5", seed]', 'seed: ["5"]', "tiny.yaml:10: bindings.seed"),
        ('seed: ["5", seed]', "seed: []", "tiny.yaml:10: bindings.seed: "),
        ('seed: ["5", seed]', 'seed: ["9", seed]', "tiny.yaml:10: bindings.seed: the workflow has no node 9"),
        ('seed: ["5", seed]', 'seed: ["5", noise]', "tiny.yaml:10: bindings.seed: node 5 has no input noise"),
        ('seed: ["5", seed]', 'seed: ["5", model]', "tiny.yaml:10: bindings.seed: input model of node 5 is a link"),
        ('seed: ["5", seed]', 'seed: ["2", text]', "tiny.yaml:10: bindings.seed: input text of node 2 is of type str"),
        ('seed: ["5", seed]', 'seed: ["5", cfg]', "tiny.yaml:10: bindings.seed: input cfg of node 5 is of type float"),
        (
            'prompt: ["3", text]',
            'prompt: ["2", text]',
            "tiny.yaml:9: bindings.negative_prompt: input text of node 2 is bound to prompt too",
        ),
        ('seed: ["5", seed]', 'sed: ["5", seed]', "tiny.yaml:7: bindings.seed: missing"),
        ('output_node: "6"', 'output_node: "7"', "tiny.yaml:17: output_node: the workflow has no node 7"),
        ("steps: {min: 1, max: 50}", "steps: {min: 60, max: 50}", "tiny.yaml:22: limits.steps: "),
        ("steps: {min: 1, max: 50}", "steps: {min: 1, max: many}", "tiny.yaml:22: limits.steps.max: "),
        ("steps: {min: 1, max: 50}", "steps: {min: 1, max: 50.5}", "tiny.yaml:22: limits.steps.max: "),
        ("cfg: {min: 1, max: 20}", "cfg: {min: 1, max: .inf}", "tiny.yaml:23: limits.cfg.max: "),
        ("  cfg: {min: 1, max: 20}", "", "tiny.yaml:18: limits.cfg: must be given"),
        ('  cfg: ["5", cfg]', "", "tiny.yaml:23: limits.cfg: has no binding"),
        ("steps: 20", "steps: 51", "tiny.yaml:25: defaults.steps: must be a whole number from 1 to 50"),
        (
            "width: 512",
            "width: 500",
            "tiny.yaml:25: defaults.width: must be a whole number from 64 to 2048 in steps of 8",
        ),
        ("{width: 512, height: 512", "{width: 2048, height: 2048", "tiny.yaml:25: defaults.width: width times height"),
        ("cfg: 7,", "", "tiny.yaml:25: defaults.cfg: must be given"),
        ("cost_seconds: 2", "cost_seconds: 0", "tiny.yaml:26: cost_seconds: "),
        ("cost_seconds: 2", "cost_seconds: 2\nload_seconds: 0", "tiny.yaml:27: load_seconds: "),
        ("cost_seconds: 2", "cost_seconds: 2\nload_seconds: soon", "tiny.yaml:27: load_seconds: "),
        ("licence: MIT", "licence: 2026-99-99", "tiny.yaml:1: not YAML: "),
        ("licence: MIT", "licence: &there [*there]", "tiny.yaml:4: licence: "),
        ("licence: MIT", "licence: &there {in: *there}", "tiny.yaml:1: this manifest or its workflow is nested"),
        (
            'filename_prefix: ["6", filename_prefix]',
            'filename_prefix: ["2", text]',
            "tiny.yaml:16: bindings.filename_prefix: must be bound to the output node 6",
        ),
        (
            'prompt: ["2", text]',
            'prompt: [["2", text], ["6", filename_prefix]]',
            "tiny.yaml:8: bindings.prompt: node 6 saves the pictures: what people write must not name files",
        ),
    ],
)
def test_a_mistake_in_a_manifest_is_told_with_its_line(folder, right, wrong, told):
    assert right in MANIFEST
    (folder / "tiny.yaml").write_text(MANIFEST.replace(right, wrong, 1), encoding="utf-8")
    assert any(mistake.startswith(told) for mistake in mistakes(folder)), mistakes(folder)


@pytest.mark.parametrize(
    ("workflow", "told"),
    [
        (None, "tiny.json:1: this workflow is missing"),
        ("", "tiny.json:1: not JSON"),
        ('{\n  "1": {\n  oops', "tiny.json:3: not JSON"),
        ("[]", "tiny.json:1: not a workflow in API format"),
        ('{\n  "nodes": [],\n  "links": []\n}', "tiny.json:2: node nodes: no class_type"),
        ('{\n  "1": {"inputs": {}}\n}', "tiny.json:2: node 1: no class_type"),
        ('{\n  "1": {"class_type": "VAELoader"}\n}', "tiny.json:2: node 1: no inputs"),
        (
            '{\n  "1": {"class_type": "VAEDecode", "inputs": {"vae": ["2", 0]}}\n}',
            "tiny.json:2: node 1: input vae is linked",
        ),
        *(
            (
                f'{{\n  "1": {{"class_type": "VAEDecode", "inputs": {{"vae": {link}}}}}\n}}',
                "tiny.json:2: node 1: input vae is linked",
            )
            for link in ("[1, 0]", '["1", true]', '["1", -1]', '["1", 0.0]', '["1"]', "[[], 0]")
        ),
        ('{"1": {"class_type": "KSampler", "inputs": {"cfg": NaN}}}', "tiny.json:1: not JSON: NaN is no number"),
        ("[" * 100_000, "tiny.yaml:1: this manifest or its workflow is nested"),
    ],
)
def test_a_mistake_in_a_workflow_is_told_with_its_line(folder, workflow, told):
    path = folder / "tiny.json"
    path.unlink() if workflow is None else path.write_text(workflow)
    assert any(mistake.startswith(told) for mistake in mistakes(folder)), mistakes(folder)


@pytest.mark.parametrize("text", ["", "- a list\n", "just text\n", "\x00", "name: \udcff"])
def test_a_file_that_is_no_mapping_is_told_at_its_first_line(folder, text):
    (folder / "tiny.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    (told,) = mistakes(folder)
    assert told.startswith("tiny.yaml:1: not ")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_manifest_with_any_typing_error_is_a_model_or_a_mistake(folder, data):
    where = data.draw(st.integers(0, len(MANIFEST)))
    typed = data.draw(st.text(alphabet="[]{}:,-&*!?|>'\"#%@` \n\tab019.", max_size=4))
    dropped = data.draw(st.integers(0, 3))
    (folder / "tiny.yaml").write_text(MANIFEST[:where] + typed + MANIFEST[where + dropped :], encoding="utf-8")
    try:
        load_models(folder)
    except ManifestError as error:
        assert all(mistake.file in {"tiny.yaml", "tiny.json"} and mistake.line >= 1 for mistake in error.mistakes)


def test_all_mistakes_of_all_files_are_told_at_once(folder):
    (folder / "big.yaml").write_text(MANIFEST.replace("name: tiny", "name: big").replace("MIT", "[]"), encoding="utf-8")
    (folder / "tiny.yaml").write_text(
        MANIFEST.replace("steps: 20", "steps: 0").replace('"6"\n', '"7"\n'), encoding="utf-8"
    )
    told = mistakes(folder)
    assert [line.split(": ")[0] for line in told] == ["big.json:1", "big.yaml:4", "tiny.yaml:17", "tiny.yaml:25"]


def test_two_models_cannot_have_one_name(folder):
    for suffix in ("json", "yaml"):
        (folder / f"twin.{suffix}").write_bytes((folder / f"tiny.{suffix}").read_bytes())
    assert mistakes(folder) == ["twin.yaml:1: name: another model is called tiny"]


def test_a_workflow_without_a_manifest_is_a_mistake(folder):
    (folder / "lonely.json").write_text(json.dumps(WORKFLOW))
    assert mistakes(folder) == ["lonely.json:1: no manifest lonely.yaml beside this workflow"]


def test_a_folder_without_models_is_a_mistake(tmp_path):
    assert len(mistakes(tmp_path)) == 1
    assert len(mistakes(tmp_path / "absent")) == 1
