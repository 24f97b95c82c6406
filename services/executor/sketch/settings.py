"""The command line: where to listen, how fast to paint, and which model files to pretend to have."""

import argparse
from dataclasses import dataclass
from pathlib import Path

OFFICIAL_FILES: dict[str, tuple[str, ...]] = {
    "checkpoints": (
        "sd3.5_medium.safetensors",
        "sd_xl_base_1.0.safetensors",
        "sd_xl_turbo_1.0_fp16.safetensors",
        "v1-5-pruned-emaonly-fp16.safetensors",
    ),
    "loras": (),
    "vae": ("ae.safetensors",),
    "text_encoders": ("clip_g.safetensors", "clip_l.safetensors", "t5xxl_fp8_e4m3fn.safetensors"),
    "diffusion_models": ("flux1-schnell.safetensors",),
}
"""Folder of ComfyUI's models directory → the files that the five presets need, under their publishers' names."""

PREVIEW_METHODS = ("none", "auto", "latent2rgb", "taesd")


@dataclass(frozen=True)
class Settings:
    listen: str
    port: int
    base_directory: Path
    step_seconds: float
    """Time that one sampler step of a 512x512 picture takes; others by the square root of their pixels."""
    load_seconds: float
    """Time that loading another checkpoint or diffusion model takes."""
    preview_method: str
    faults: bool
    version: str
    """The version of ComfyUI that /system_stats tells; the protocol stays that of 0.33."""
    device: str
    vram: int | None
    """Bytes that the device pretends to have, all of them free; None for this machine's memory."""
    models: dict[str, list[str]]
    """Folder → sorted file names that are pretended to exist."""

    @property
    def output_directory(self) -> Path:
        return self.base_directory / "output"

    @property
    def temp_directory(self) -> Path:
        return self.base_directory / "temp"

    @property
    def directories(self) -> dict[str, Path]:
        """By their type on the wire."""
        return {kind: self.base_directory / kind for kind in ("input", "output", "temp")}


def parse(arguments: list[str] | None = None) -> Settings:
    parser = argparse.ArgumentParser(prog="sketch", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS")
    parser.add_argument("--port", type=int, default=8188, help="0 takes a free one and prints it")
    parser.add_argument("--base-directory", type=Path, default=Path("sketch"), help="holds output/ and temp/")
    parser.add_argument("--step-seconds", type=float, default=0.15, help="per sampler step of 512x512")
    parser.add_argument("--load-seconds", type=float, default=0.5, help="per model that is loaded")
    parser.add_argument("--preview-method", choices=PREVIEW_METHODS, default="none")
    parser.add_argument("--with", dest="present", action="append", default=[], metavar="FOLDER/FILE")
    parser.add_argument("--without", dest="absent", action="append", default=[], metavar="FILE")
    parser.add_argument("--version", default="0.33.0", help="of ComfyUI, to pretend to be")
    parser.add_argument("--device", default="sketch (no neural network)", metavar="NAME", help="to pretend to have")
    parser.add_argument("--vram", type=int, metavar="BYTES", help="to pretend to have; default: this machine's memory")
    parser.add_argument("--faults", action="store_true", help="serve POST /sketch/faults, for tests")
    options = parser.parse_args(arguments)
    models = {folder: set(files) for folder, files in OFFICIAL_FILES.items()}
    for path in options.present:
        folder, _, file = path.partition("/")
        if folder not in models or not file:
            parser.error(f"--with {path}: expected one of {', '.join(models)}, a slash and a file name")
        models[folder].add(file)
    return Settings(
        listen=options.listen,
        port=options.port,
        base_directory=options.base_directory.resolve(),
        step_seconds=options.step_seconds,
        load_seconds=options.load_seconds,
        preview_method=options.preview_method,
        faults=options.faults,
        version=options.version,
        device=options.device,
        vram=options.vram,
        models={folder: sorted(files - set(options.absent)) for folder, files in models.items()},
    )
