"""Workers by the predicted backlog, down to none."""

import promql_parser
import pytest

from services.executor.engine.folder import ModelFolder
from services.executor.settings import MODELS, Pools
from tests.deploy.promql import scaled_object
from tests.deploy.rendered import OVERLAYS, of_kind

# Of https://keda.sh/docs/2.17/reference/scaledobject-spec/ and …/scalers/prometheus/ what may be written here.
SPEC = {
    "advanced",
    "cooldownPeriod",
    "fallback",
    "idleReplicaCount",
    "initialCooldownPeriod",
    "maxReplicaCount",
    "minReplicaCount",
    "pollingInterval",
    "scaleTargetRef",
    "triggers",
}
TRIGGER = {"activationThreshold", "ignoreNullValues", "query", "serverAddress", "threshold"}


@pytest.fixture
def spec():
    """As a cluster gets it."""
    (scaled,) = of_kind("production", "ScaledObject").values()
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    return scaled["spec"]


def test_every_field_is_one_that_keda_knows(spec):
    assert spec == scaled_object()["spec"]
    assert spec.keys() <= SPEC
    assert spec["fallback"].keys() == {"failureThreshold", "replicas", "behavior"}
    for trigger in spec["triggers"]:
        assert trigger.keys() == {"type", "metadata"}
        assert trigger["type"] == "prometheus"
        assert trigger["metadata"].keys() == TRIGGER
        assert all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA takes strings only"


def test_it_scales_the_workers_and_nothing_else_says_how_many_there_are(spec):
    assert spec["scaleTargetRef"] == {"name": "worker"}
    assert "replicas" not in of_kind("production", "Deployment")["worker"]["spec"]
    assert spec["minReplicaCount"] == 0 < spec["maxReplicaCount"]


def test_any_waiting_job_starts_a_worker_and_no_figure_is_not_taken_for_none(spec):
    for trigger in spec["triggers"]:
        metadata = trigger["metadata"]
        assert float(metadata["activationThreshold"]) == 0
        assert float(metadata["threshold"]) > 0
        assert metadata["ignoreNullValues"] == "false"
    assert spec["fallback"]["replicas"] >= 1


def test_each_query_gives_one_number(spec):
    backlog, painting = (promql_parser.parse(trigger["metadata"]["query"]) for trigger in spec["triggers"])
    for query in (backlog, painting):
        assert isinstance(query, promql_parser.AggregateExpr)
        assert query.modifier is None, "grouped, it would give one for each model"
    assert "imagegen_queue_backlog_seconds" in str(backlog)
    assert "imagegen_queue_painting_jobs" in str(painting)


def test_its_prometheus_is_the_one_that_may_read_the_metrics(spec):
    (peer,) = of_kind("production", "NetworkPolicy")["from-monitoring"]["spec"]["ingress"][0]["from"]
    (namespace,) = peer["namespaceSelector"]["matchLabels"].values()
    for trigger in spec["triggers"]:
        assert trigger["metadata"]["serverAddress"] == f"http://prometheus-operated.{namespace}:9090"


def settings_of(name, process):
    (config,) = (each for made, each in of_kind(name, "ConfigMap").items() if made.startswith(f"{process}-"))
    return config["data"]


def test_without_a_worker_every_installed_model_is_cold_and_not_refused():
    models = ModelFolder(MODELS).models
    pools = Pools(settings_of("production", "executor")["EXECUTOR_POOL_MODELS"])
    assert set(pools.among(models)) == set(models)


def test_where_nothing_scales_there_is_a_worker_and_no_pool_is_declared():
    for name in OVERLAYS:
        if not of_kind(name, "ScaledObject"):
            assert of_kind(name, "Deployment")["worker"]["spec"]["replicas"] == 1
            assert "EXECUTOR_POOL_MODELS" not in settings_of(name, "executor")
