"""The component that sends spans to a collector, on each overlay: who makes some gets its address and the way to it."""

import pytest

from tests.deploy.rendered import NAME, OVERLAYS, own, with_component

MAKERS = {"auth", "executor", "gateway", "generation", "results", "worker"}
COLLECTOR = ("otel-collector.monitoring", 4318)


@pytest.fixture(params=OVERLAYS)
def objects(request, tmp_path) -> list[dict]:
    """Of an overlay with the component."""
    return with_component(request.param, "tracing", tmp_path)


def test_each_process_that_makes_spans_is_told_where_to_and_no_other(objects):
    configs = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    pods = {one["metadata"]["name"]: one["spec"]["template"] for one in objects if one["kind"] == "Deployment"}
    told = {}
    for name, main in own(pods).items():
        for source in main.get("envFrom", []):
            given = configs.get(source.get("configMapRef", {}).get("name"), {})
            if "OTEL_EXPORTER_OTLP_ENDPOINT" in given:
                told[name] = given["OTEL_EXPORTER_OTLP_ENDPOINT"]
    host, port = COLLECTOR
    assert told == dict.fromkeys(MAKERS, f"http://{host}:{port}")


def test_they_and_no_others_reach_the_collector_and_it_alone(objects):
    host, port = COLLECTOR
    [policy] = [one for one in objects if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "to-collector"]
    [expression] = policy["spec"]["podSelector"]["matchExpressions"]
    assert (expression["key"], expression["operator"], set(expression["values"])) == (NAME, "In", MAKERS)
    assert policy["spec"]["policyTypes"] == ["Egress"]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": host.split(".")[1]}}
    assert policy["spec"]["egress"] == [{"to": [{"namespaceSelector": namespace}], "ports": [{"port": port}]}]
