"""The overlays as a cluster gets them, and what is asked of them again and again."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[2]
K8S = PROJECT / "deploy" / "k8s"
OVERLAYS = sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml"))
NAME = "app.kubernetes.io/name"


@cache
def kustomize(name):
    """YAML of an overlay, or of another folder, rendered by kubectl: the dev extra's, a wheel, or the machine's own."""
    wheels = Path(sys.executable).with_name("kubectl")
    kubectl = wheels if wheels.exists() else shutil.which("kubectl")
    assert kubectl, "no kubectl: `make setup` installs one"
    command = [kubectl, "kustomize", K8S / "overlays" / name]
    rendered = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout


@cache
def overlay(name):
    """Its objects."""
    return list(yaml.safe_load_all(kustomize(name)))


def with_component(name, component, folder):
    """The objects of an overlay that has one component more; `folder` is an empty one."""

    def path(wanted):
        return os.path.relpath((K8S / wanted).resolve(), folder.resolve())

    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "imagegen",
        "resources": [path(f"overlays/{name}")],
        "components": [path(f"components/{component}")],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return list(yaml.safe_load_all(kustomize(folder)))


def of_kind(name, *kinds):
    """An overlay's objects of these kinds, by name."""
    return {object_["metadata"]["name"]: object_ for object_ in overlay(name) if object_["kind"] in kinds}


def pods(name):
    """The pod template of each Deployment and Job."""
    return {owner: workload["spec"]["template"] for owner, workload in of_kind(name, "Deployment", "Job").items()}


def containers(pod):
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def own(pods_by_name):
    """Those whose last container runs our code, each with that container."""
    mains = {name: pod["spec"]["containers"][0] for name, pod in pods_by_name.items()}
    return {name: main for name, main in mains.items() if "imagegen-" in main["image"]}


def environment(container, config_maps, made_by_operator):
    """The variables that a container gets, with a description in place of what is not in the manifests.

    Args:
        container: as in the manifest.
        config_maps: the overlay's, by name.
        made_by_operator: the data of those that are not part of an overlay.
    """
    found = {}
    for source in container.get("envFrom", []):
        reference = source.get("configMapRef") or source["secretRef"]
        if reference["name"] in config_maps:
            found |= config_maps[reference["name"]]["data"]
        elif not reference.get("optional"):
            found |= made_by_operator[reference["name"]]
    for variable in container.get("env", []):
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        elif "secretKeyRef" in variable["valueFrom"]:
            reference = variable["valueFrom"]["secretKeyRef"]
            found[variable["name"]] = made_by_operator[reference["name"]][reference["key"]]
        else:
            assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.uid"
            found[variable["name"]] = "6f1c1c0e-6a1e-4b8e-9d2c-000000000001"
    return found
