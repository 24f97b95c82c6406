"""The network policies are the arrows of the README: no arrow is blocked, and nothing else is open."""

from itertools import product

import pytest
import yaml

from app.web.settings import Settings as AppSettings
from deploy.envoy.render import render
from deploy.k8s.secrets import manifests
from deploy.local.credentials import CONTEXTS
from gateway.settings import Settings as GatewaySettings
from services.auth.settings import Settings as AuthSettings
from services.executor.settings import ServerSettings, WorkerSettings
from services.generation.settings import GenerationSettings
from services.results.settings import Settings as ResultsSettings
from tests.deploy.rendered import NAME, OVERLAYS, of_kind, own, pods
from tests.runtime.test_arrows import ARROWS

SETTINGS = {
    "auth": AuthSettings,
    "generation": GenerationSettings,
    "executor": ServerSettings,
    "worker": WorkerSettings,
    "results": ResultsSettings,
    "gateway": GatewaySettings,
    "app": AppSettings,
}
PORTS = {**dict.fromkeys(CONTEXTS, 50051), "gateway": 8000, "app": 8001}
ANYWHERE = {"ipBlock": {"cidr": "0.0.0.0/0"}}
DATABASES = {name for name, settings in SETTINGS.items() if "database_url" in settings.model_fields}

every_overlay = pytest.mark.parametrize("name", OVERLAYS)


def arrows_of_the_code():
    """Whom each process has an address of, and whom Envoy sends requests to."""
    addresses = {
        (caller, str(field.validation_alias).removesuffix("_ADDRESS").lower())
        for caller, settings in SETTINGS.items()
        for field in settings.model_fields.values()
        if str(field.validation_alias).endswith("_ADDRESS")
    }
    found = {(caller, callee, PORTS[callee]) for caller, callee in addresses}
    config = yaml.safe_load(render(listen="x:1", **dict.fromkeys(PORTS, "x:1")))
    clusters = {each["name"] for each in config["static_resources"]["clusters"] if each["type"] == "STRICT_DNS"}
    return found | {("envoy", callee, PORTS[callee]) for callee in clusters}


def test_an_address_is_an_arrow_whose_contract_the_code_speaks():
    packages = {"worker": "services/executor", "gateway": "gateway"}
    for caller, callee, _ in arrows_of_the_code():
        if caller not in {"envoy", "app"}:  # neither speaks a contract of its own
            spoken = ARROWS[packages.get(caller, f"services/{caller}")] | ARROWS["services/runtime"]
            assert callee in spoken


def selected(selector, names):
    """The names of pods that a selector of ours picks: by name, or all."""
    if "matchExpressions" in selector:
        (expression,) = selector["matchExpressions"]
        assert (expression["key"], expression["operator"]) == (NAME, "In")
        return set(expression["values"])
    labels = selector.get("matchLabels", {})
    return {labels[NAME]} if NAME in labels else set(names)


def described(peer, names):
    """The names of a peer's pods, or else its block of addresses or its namespace."""
    if "podSelector" in peer:
        return selected(peer["podSelector"], names)
    if "ipBlock" in peer:
        return {peer["ipBlock"]["cidr"]}
    return set(peer["namespaceSelector"]["matchLabels"].values())


def arrows(name, direction):
    """(caller, callee, port) as the policies of one side allow it."""
    names = pods(name).keys()
    side = {"ingress": "from", "egress": "to"}[direction]
    found = set()
    for policy in of_kind(name, "NetworkPolicy").values():
        for rule in policy["spec"].get(direction, []):
            others = {other for peer in rule.get(side, [ANYWHERE]) for other in described(peer, names)}
            these = selected(policy["spec"]["podSelector"], names)
            for other, this, port in product(others, these, rule["ports"]):
                found.add(((other, this) if direction == "ingress" else (this, other)) + (port["port"],))
    return found


def among_ours(found):
    ours = {*SETTINGS, "envoy"}
    return {arrow for arrow in found if {arrow[0], arrow[1]} <= ours}


@every_overlay
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_callers_and_callees_are_allowed_exactly_the_arrows_of_the_code(name, direction):
    assert among_ours(arrows(name, direction)) == arrows_of_the_code()


@every_overlay
def test_databases_and_redis_are_reached_by_those_that_have_their_address(name):
    reached = {port: {caller for caller, _, other in arrows(name, "egress") if other == port} for port in (5432, 6379)}
    assert reached[5432] == DATABASES | {f"{context}-migration" for context in CONTEXTS}
    assert reached[6379] == {process for process, settings in SETTINGS.items() if "redis_url" in settings.model_fields}


@every_overlay
def test_everything_else_that_leaves_a_pod_is_dns_and_the_picture_store(name):
    others = {arrow for arrow in arrows(name, "egress") if arrow[2] not in {50051, 8000, 8001, 5432, 6379}}
    store = {(caller, port) for caller, _, port in others if port != 53}
    assert {(callee, port) for _, callee, port in others if port == 53} == {
        ("kube-system", 53),
        ("169.254.20.10/32", 53),
    }
    assert store == ({("results", 443), ("results", 80)} if name == "production" else set())


def outsiders(name):
    """Who may come in from outside the namespace."""
    return {arrow for arrow in arrows(name, "ingress") if arrow[0] not in pods(name)}


def test_the_one_public_door_is_envoys():
    assert outsiders("local") == {("0.0.0.0/0", "envoy", 8080)}


def test_behind_an_ingress_the_door_is_open_to_its_controller_alone():
    """Envoy believes what its caller says of the client, so that nobody else may be its caller."""
    (render_container,) = pods("production")["envoy"]["spec"]["initContainers"]
    assert "--trusted-hops=1" in render_container["args"]
    scraped = {("monitoring", process, 9090) for process in pods("production")}
    assert outsiders("production") == {("ingress-nginx", "envoy", 8080)} | scraped


@every_overlay
def test_what_no_policy_names_is_denied(name):
    spec = of_kind(name, "NetworkPolicy")["deny-all"]["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@every_overlay
def test_every_policy_names_pods_that_exist(name):
    names = pods(name).keys()
    for policy in of_kind(name, "NetworkPolicy").values():
        assert selected(policy["spec"]["podSelector"], names) <= names


@every_overlay
def test_secrets_are_referred_to_and_never_written_down(name):
    assert not of_kind(name, "Secret")
    made = {item["metadata"]["name"]: item for item in manifests(namespace="x")["items"]}
    referred = {
        (variable["valueFrom"]["secretKeyRef"]["name"], variable["valueFrom"]["secretKeyRef"]["key"])
        for container in own(pods(name)).values()
        for variable in container.get("env", [])
        if "secretKeyRef" in variable.get("valueFrom", {})
    }
    assert referred == {
        (process, key) for process in SETTINGS.keys() & made.keys() for key in made[process]["stringData"]
    }
