"""What an operator is told by `python -m services.executor models check`."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from services.executor.__main__ import main
from services.executor.settings import ServerSettings
from tests.executor.sketch_process import SketchProcess

ROOT = Path(__file__).parents[2]
PRESETS = ServerSettings.model_fields["models_dir"].default
LACKING = ["flux1-schnell.safetensors", "clip_g.safetensors", "sd_xl_base_1.0.safetensors"]


class Answer(NamedTuple):
    code: int
    out: str


@pytest.fixture
def check(capsys):
    """Run the command here; it complains nowhere but on standard output."""

    def run(*arguments):
        code = main(["models", "check", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert err == ""
        return Answer(code, out)

    return run


@pytest.fixture(scope="module")
def sketch():
    with SketchProcess(*(f"--without={file}" for file in LACKING)) as process:
        yield process


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(PRESETS, tmp_path / "models"))


def paragraphs(answer):
    """The lines about each model, by its name."""
    found = [part.splitlines() for part in answer.out.split("\n\n")]
    return {lines[0].split()[0]: lines for lines in found if len(lines) > 1 and lines[1].startswith("  ")}


def test_each_model_is_told_with_what_is_there_and_where_the_rest_belongs(check, sketch):
    answer = check("--comfyui", sketch.url)
    models = paragraphs(answer)
    assert answer.code == 0
    assert list(models) == ["sdxl-turbo", "sd15", "flux-schnell", "sdxl", "sd35-medium"]
    assert models["sd15"] == [
        "sd15             can run      Stable Diffusion 1.5",
        "  there    models/checkpoints/v1-5-pruned-emaonly-fp16.safetensors",
    ]
    assert models["flux-schnell"] == [
        "flux-schnell     cannot run   FLUX.1 schnell",
        "  missing  models/diffusion_models/flux1-schnell.safetensors (or in models/unet/)",
        "  there    models/text_encoders/t5xxl_fp8_e4m3fn.safetensors",
        "  there    models/text_encoders/clip_l.safetensors",
        "  there    models/vae/ae.safetensors",
    ]
    assert answer.out.endswith("\n\n2 of 5 models can run here.\n")


def test_the_engine_is_told_with_version_device_and_memory(check, sketch):
    _, version, device, memory, *_ = check("--comfyui", sketch.url).out.splitlines()
    assert version == f"ComfyUI 0.33.0 at {sketch.url}"
    assert device == "  device   sketch (no neural network)"
    assert re.fullmatch(r"  memory   [\d.]+ of [\d.]+ GiB free", memory)


def test_nodes_and_values_that_this_comfyui_has_not_are_told_in_lines_that_fit_a_terminal(check, sketch, folder):
    workflow = json.loads((folder / "sd15.json").read_text())
    workflow["3"]["inputs"]["sampler_name"] = "eulr"
    workflow["8"]["class_type"] = "MagicDecode"
    (folder / "sd15.json").write_text(json.dumps(workflow))
    answer = check("--comfyui", sketch.url, "--models", folder)
    heading, _, *refused = paragraphs(answer)["sd15"]
    assert heading.split()[1:3] == ["cannot", "run"]
    assert refused == [
        "  refused  node 3 (KSampler): sampler_name: 'eulr' is no choice; the nearest of 44: euler, heun",
        "  refused  node 8 (MagicDecode): this ComfyUI has no such node",
    ]
    assert answer.out.endswith("\n1 of 5 models can run here.\n")
    assert all(len(line) <= 120 for line in answer.out.splitlines() if str(folder) not in line)


def test_an_engine_that_can_run_nothing_is_a_failure(check, sketch, folder):
    for path in folder.iterdir():
        if path.stem != "sdxl":
            path.unlink()
    answer = check("--comfyui", sketch.url, "--models", folder)
    assert answer.code == 1
    assert answer.out.endswith("\n0 of 1 model can run here.\n")


def test_without_an_engine_only_the_folder_is_checked(check):
    answer = check()
    assert answer.code == 0
    assert answer.out.startswith(f"5 models in {PRESETS}, no mistakes.\n")
    assert "  models/text_encoders/clip_g.safetensors (or in models/clip/)" in answer.out.splitlines()


def test_the_folder_of_the_environment_is_checked_unless_another_is_named(check, folder, monkeypatch):
    (folder / "sd15.json").unlink()
    monkeypatch.setenv("EXECUTOR_MODELS_DIR", str(folder))
    assert check().code == 1
    assert check("--models", PRESETS).code == 0


def test_mistakes_are_told_with_file_and_line_whatever_the_engine_has(check, sketch, folder):
    (folder / "sd15.json").unlink()
    manifest = folder / "sdxl.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("licence:", "license:"), encoding="utf-8")
    answer = check("--models", folder, "--comfyui", sketch.url)
    assert answer.code == 1
    assert set(answer.out.splitlines()) == {
        "sd15.json:1: this workflow is missing",
        "sdxl.yaml:1: licence: missing",
        "sdxl.yaml:6: license: unknown key",
        "",
        f"3 mistakes in {folder}: the executor would not start.",
    }


@contextmanager
def answering(body):
    """A server that answers everything with the same JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_old_comfyui_is_refused_with_a_sentence(check):
    with answering({"system": {"comfyui_version": "0.24.9"}, "devices": []}) as url:
        answer = check("--comfyui", url)
    assert answer.code == 1
    assert answer.out.splitlines()[1:] == [f"{url}: ComfyUI 0.25.0 or newer is needed, and this is 0.24.9."]


def test_something_else_than_comfyui_is_told_so(check):
    with answering(["hello"]) as url:
        answer = check("--comfyui", url)
    assert answer.code == 1
    assert answer.out.splitlines()[1:] == [f"What answers at {url} does not speak as ComfyUI does."]


def test_an_address_where_nothing_listens_is_one_sentence(check):
    with answering({}) as url:
        pass
    answer = check("--comfyui", url)
    assert answer.code == 1
    (sentence,) = answer.out.splitlines()[1:]
    assert sentence.startswith(f"Nothing listens at {url}.")


def test_a_url_that_is_none_is_refused_with_the_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["models", "check", "--comfyui", "localhost:8188"])
    assert ended.value.code == 2
    assert "'localhost:8188' does not begin with http:// or https://" in capsys.readouterr().err


@pytest.mark.parametrize(("preset", "code"), [("sd15", 0), ("sdxl", 1)])
def test_the_command_ends_with_the_code_that_scripts_ask_for(sketch, folder, preset, code):
    for path in folder.iterdir():
        if path.stem != preset:
            path.unlink()
    command = [sys.executable, "-m", "services.executor", "models", "check"]
    command += ["--comfyui", sketch.url, "--models", str(folder)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, "")
    assert ended.stdout.startswith(f"1 model in {folder}, no mistakes.\n")
