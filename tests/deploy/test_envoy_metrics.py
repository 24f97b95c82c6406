"""What the door tells Prometheus and its pod's probe of itself, and that whoever hears it can do nothing else."""

import re
from typing import NamedTuple

import httpx
import pytest

from deploy.envoy.render import render
from deploy.local.ports import LOOPBACK, reserved_ports
from tests.deploy.envoy import NAMES, an_envoy, answers
from tests.deploy.promql import expressions, selectors
from tests.deploy.rendered import PROJECT, pods
from tests.deploy.waiting import wait_until

SAMPLE = re.compile(r"(\w+)\{(.*)\} (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')
ROW = re.compile(r"^\| `(envoy_\w+)` \|", re.MULTILINE)


class Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


@pytest.fixture(scope="module")
def listen(tmp_path_factory):
    """Where an Envoy tells its metrics, that has nobody behind it and has been asked."""
    with reserved_ports((*NAMES, "admin", "metrics")) as ports:
        admin, metrics = (f"{LOOPBACK}:{ports[name]}" for name in ("admin", "metrics"))
        with an_envoy(tmp_path_factory.mktemp("envoy"), ports, admin=admin, metrics=metrics, rate_limit=100) as public:
            wait_until(lambda: answers(public))
            yield metrics


def told(listen):
    """Samples under the names that Prometheus has: `prometheus_client` would add `_total` to those of counters."""
    answer = httpx.get(f"http://{listen}/metrics", trust_env=False).raise_for_status()
    found = (SAMPLE.fullmatch(line) for line in answer.text.splitlines())
    return [Sample(each[1], dict(LABEL.findall(each[2])), float(each[3])) for each in found if each]


def test_every_metric_of_envoys_that_is_asked_for_is_told_with_the_labels_that_are_asked_for(listen):
    samples = {sample.name: sample.labels for sample in told(listen)}
    asked = [each for expression in expressions().values() for each in selectors(expression)]
    envoys = [each for each in asked if each.name.startswith("envoy_")]
    assert envoys
    for selector in envoys:
        assert selector.name in samples
        assert {matcher.name for matcher in selector.matchers.matchers} <= samples[selector.name].keys()


def test_what_is_written_about_envoys_metrics_is_told(listen):
    written = set(ROW.findall((PROJECT / "docs" / "metrics.md").read_text()))
    asked = {each.name for expression in expressions().values() for each in selectors(expression)}
    assert {name for name in asked if name.startswith("envoy_")} <= written <= {sample.name for sample in told(listen)}


def test_answers_of_its_own_and_services_without_anybody_are_counted(listen):
    def value(name, **labels):
        return next(each.value for each in told(listen) if each.name == name and labels.items() <= each.labels.items())

    assert value("envoy_server_live") == 1
    failed = {"envoy_http_conn_manager_prefix": "public", "envoy_response_code_class": "5"}
    assert value("envoy_http_downstream_rq_xx", **failed) > 0
    for name in NAMES[1:]:
        assert value("envoy_cluster_membership_healthy", envoy_cluster_name=name) == 0


def test_it_says_that_it_is_ready(listen):
    assert httpx.get(f"http://{listen}/ready", trust_env=False).text == "LIVE\n"


@pytest.mark.parametrize(
    "path", ["/", "/quitquitquit", "/config_dump", "/stats", "/ready/../quitquitquit", "/metrics/x"]
)
def test_nothing_else_of_the_admin_interface_is_reached(listen, path):
    target = httpx.URL(f"http://{listen}").copy_with(raw_path=path.encode())
    assert httpx.request("POST", target, trust_env=False).status_code == 404
    assert httpx.get(f"http://{listen}/ready", trust_env=False).is_success


def test_metrics_without_the_admin_interface_are_a_mistake():
    with pytest.raises(ValueError, match="admin"):
        render(listen="x:1", **dict.fromkeys(NAMES[1:], "x:1"), metrics="x:2")


def test_the_cluster_scrapes_it_and_asks_it_whether_it_is_ready():
    spec = pods("production")["envoy"]["spec"]
    (envoy,) = spec["containers"]
    assert {"name": "metrics", "containerPort": 9090} in envoy["ports"]
    assert "--metrics=0.0.0.0:9090" in spec["initContainers"][0]["args"]
    assert envoy["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "metrics"}
