"""What an operator's tools ask of Prometheus: each expression of the dashboard, the alerts and KEDA, by its place."""

import json

import promql_parser
import yaml

from tests.deploy.rendered import K8S

COMPONENTS = K8S / "components"


def alerts():
    """The rules, in the order of the file."""
    rule = yaml.safe_load((COMPONENTS / "monitoring" / "alerts.yaml").read_text())
    return [rule for group in rule["spec"]["groups"] for rule in group["rules"]]


def dashboard():
    return json.loads((COMPONENTS / "monitoring" / "dashboard.json").read_text())


def scaled_object():
    return yaml.safe_load((COMPONENTS / "keda" / "scaledobject.yaml").read_text())


def expressions():
    """By where each stands. Grafana puts an interval where it says so, for the tests five minutes."""
    found = {f"alert {alert['alert']}": alert["expr"] for alert in alerts()}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "5m")
            found[f"panel {panel['title']} {target['refId']}"] = expression
    for number, trigger in enumerate(scaled_object()["spec"]["triggers"]):
        found[f"trigger {number}"] = trigger["metadata"]["query"]
    return found


def selectors(expression):
    """The vector selectors of an expression. Raises ValueError if it is none."""
    found = []
    promql_parser.walk(
        promql_parser.parse(expression),
        lambda node: found.append(node) if isinstance(node, promql_parser.VectorSelector) else None,
    )
    return found
