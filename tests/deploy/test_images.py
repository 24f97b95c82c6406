"""What the images are built from, as far as it can be told without building one; `make check-deploy` goes further."""

import re
import tomllib

import pytest
import yaml

from tests.deploy.rendered import OVERLAYS, PROJECT, containers, pods

DOCKERFILE = (PROJECT / "deploy" / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
STAGES = DOCKERFILE.split("\nFROM ")
EXTRAS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def copied():
    """What comes from the build context."""
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        yield from sources


@pytest.mark.parametrize("source", list(copied()))
def test_what_is_copied_exists_and_is_let_into_the_build(source):
    assert (PROJECT / source).exists()
    let_in = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert source in let_in


def test_nothing_else_is_let_into_the_build():
    lines = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied())


def test_the_last_stage_installs_nothing_and_is_nobody():
    last = STAGES[-1]
    assert not re.search(r"\b(apt|apk|pip|uv|gcc)\b", last)
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)


def test_only_wheels_are_installed_and_only_what_the_lock_has():
    install = re.search(r"uv pip install(?:.*\\\n)*.*", DOCKERFILE)[0]
    for option in ("--only-binary :all:", "--constraints requirements.lock", "--extra"):
        assert option in install


def test_every_requirement_in_the_lock_has_a_version_and_a_hash():
    """So that uv, given it as constraints, verifies every file."""
    entries = re.split(r"\n(?=\S)", (PROJECT / "requirements.lock").read_text().strip())
    packages = [entry for entry in entries if not entry.startswith("#")]
    assert len(packages) > 50
    for package in packages:
        assert re.match(r"[a-z0-9.\-]+(\[[a-z,-]+\])?==\S+", package), package[:80]
        assert "--hash=sha256:" in package, package[:80]


def images():
    """Each of our images that a pod or a container is started from."""
    found = {service["image"] for service in COMPOSE.values()}
    found |= {container["image"] for name in OVERLAYS for pod in pods(name).values() for container in containers(pod)}
    return {match[1] for image in found if (match := re.search(r"imagegen-(\w+):", image))}


def test_every_image_is_that_of_an_extra_and_is_built_by_compose():
    built = {service["build"]["args"]["SERVICE"] for service in COMPOSE.values() if "build" in service}
    assert images() == built
    assert built <= EXTRAS.keys()


def modules():
    """(image, module) of each container that starts our code."""
    for container in (c for name in OVERLAYS for pod in pods(name).values() for c in containers(pod)):
        if match := re.search(r"imagegen-(\w+):", container["image"]):
            command = container.get("command", ["python", "-m", *container["args"]])
            yield match[1], re.search(r"python -m ([\w.]+)", " ".join(command))[1]
    for service in COMPOSE.values():
        if match := re.search(r"imagegen-(\w+):", service["image"]):
            command = service.get("entrypoint", ["python", "-m", *service["command"]])
            yield match[1], re.search(r"python -m ([\w.]+)", " ".join(command))[1]


def test_every_entry_point_is_in_the_image():
    named = {module for _, module in modules()}
    assert {"gateway.main", "services.executor.worker", "services.executor.sketch", "deploy.envoy.render"} <= named
    for module in named:
        path = PROJECT / module.replace(".", "/")
        assert (path / "__main__.py").exists() or path.with_suffix(".py").exists(), module
        assert any(path.is_relative_to(PROJECT / source) for source in copied()), module


def test_a_container_of_compose_can_do_no_more_than_its_work():
    for name, service in COMPOSE.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name != "postgres":  # its own image changes from root to postgres
            assert service["cap_drop"] == ["ALL"], name
            assert service["read_only"] is True, name


def test_compose_asks_whoever_is_called_whether_it_serves():
    asked = {name: service["healthcheck"]["test"] for name, service in COMPOSE.items() if "healthcheck" in service}
    assert asked.keys() == {"auth", "generation", "executor", "results", "gateway", "app", "postgres"}
    for name in ("auth", "generation", "executor", "results"):
        _, *command, address = asked[name]
        assert command == ["python", "-m", "services.runtime.probe"]
        listens = COMPOSE[name]["environment"][f"{name.upper()}_LISTEN"]
        assert address.rpartition(":")[2] == listens.rpartition(":")[2]


def test_compose_opens_one_port_on_loopback():
    assert {name: service["ports"] for name, service in COMPOSE.items() if "ports" in service} == {
        "envoy": ["127.0.0.1:8080:8080"]
    }


def test_sketch_and_gpu_never_paint_side_by_side():
    """A picture that was asked of a model must not come from sketch because a GPU was busy."""
    profiles = {name: service["profiles"] for name, service in COMPOSE.items() if "profiles" in service}
    assert profiles == {"sketch": ["sketch"], "worker": ["sketch"], "comfyui": ["gpu"], "worker-gpu": ["gpu"]}
