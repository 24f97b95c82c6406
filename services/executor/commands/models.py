"""`models check`: which models can run, and what each of the others lacks."""

import argparse
import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from services.executor.engine.api import EngineInfo
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import EngineTooOld, EngineUnavailable
from services.executor.engine.fit import misfits
from services.executor.engine.model import OLD_FOLDERS, Model, ModelFile
from services.executor.engine.workflows import ManifestError, load_models

_PRESETS = Path(__file__).parents[1] / "models"
_GIB = 2**30
_OLD_NAMES = {new: old for old, new in OLD_FOLDERS.items()}
_NO_ANSWER = "What listens at {url} does not answer."
_COMPLAINTS = {
    "unreachable": "Nothing listens at {url}. Does ComfyUI run, and with --listen if it is on another machine?",
    "bad_answer": "What answers at {url} does not speak as ComfyUI does.",
}


def register(nouns: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = nouns.add_parser("models", help="the folder of models").add_subparsers(
        title="verbs", required=True, metavar="VERB"
    )
    check = verbs.add_parser(
        "check",
        help="tell which models can run and what the others lack",
        description="Reads the folder of models and asks a ComfyUI for what each of them needs: files, nodes, values.",
        epilog="Exits with 0 if no manifest is wrong and at least one model can run, else with 1.",
    )
    check.add_argument(
        "--comfyui", type=_url, metavar="URL", help="such as http://127.0.0.1:8188; without it only the folder is read"
    )
    check.add_argument(
        "--models",
        type=Path,
        default=Path(os.environ.get("EXECUTOR_MODELS_DIR", _PRESETS)),
        metavar="DIR",
        help="the folder of models (default: $EXECUTOR_MODELS_DIR, else the presets: %(default)s)",
    )
    check.set_defaults(run=_check)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with http:// or https://")
    return text


def _check(options: argparse.Namespace) -> int:
    try:
        models = load_models(options.models)
    except ManifestError as error:
        print(error)
        print(f"\n{_count(len(error.mistakes), 'mistake')} in {options.models}: the executor would not start.")
        return 1
    print(f"{_count(len(models), 'model')} in {options.models}, no mistakes.")
    if options.comfyui is None:
        for model in models.values():
            _print_model(model, "needs", [f"  {_place(file)}{_or_in(file)}" for file in model.files])
        return 0
    with closing(ComfyUI(options.comfyui)) as engine:
        try:
            return _check_on(engine, options.comfyui, models)
        except EngineTooOld as error:
            print(f"{options.comfyui}: {error.detail}")
        except EngineUnavailable as error:
            print(_COMPLAINTS.get(error.kind, _NO_ANSWER).format(url=options.comfyui))
        return 1


def _check_on(engine: ComfyUI, url: str, models: Mapping[str, Model]) -> int:
    """Raises EngineError."""
    _print_engine(engine.probe(), url)
    files = engine.files({file.folder for model in models.values() for file in model.files})
    classes = {body["class_type"] for model in models.values() for body in model.workflow.values()}
    nodes = {class_type: engine.node_info(class_type) for class_type in classes}
    able = 0
    for model in models.values():
        missing = model.missing(files)
        faults = misfits(model, nodes, absent=frozenset(file.file for file in missing))
        lines = [
            f"  missing  {_place(file)}{_or_in(file)}" if file in missing else f"  there    {_place(file)}"
            for file in model.files
        ]
        lines += [f"  refused  {fault}" for fault in faults]
        _print_model(model, "cannot run" if missing or faults else "can run", lines)
        able += not missing and not faults
    print(f"\n{able} of {_count(len(models), 'model')} can run here.")
    return 0 if able else 1


def _print_model(model: Model, state: str, lines: list[str]) -> None:
    print(f"\n{model.name:16} {state:12} {model.display_name.en}")
    for line in lines:
        print(line)


def _place(file: ModelFile) -> str:
    """Where a file belongs, from ComfyUI's own folder."""
    return f"models/{file.folder}/{file.file}"


def _or_in(file: ModelFile) -> str:
    old = _OLD_NAMES.get(file.folder)
    return f" (or in models/{old}/)" if old else ""


def _print_engine(info: EngineInfo, url: str) -> None:
    print(f"ComfyUI {info.version} at {url}")
    print(f"  device   {info.device}")
    print(f"  memory   {info.vram_free / _GIB:.1f} of {info.vram_total / _GIB:.1f} GiB free")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
