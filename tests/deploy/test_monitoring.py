"""Alerts and dashboard: Prometheus and Grafana take them, and each alert says what to do.

That somebody tells the metrics is tests/e2e/test_metrics.py.
"""

import re

import promql_parser
import pytest
import yaml

from tests.deploy.promql import alerts, dashboard, expressions, selectors
from tests.deploy.rendered import PROJECT, of_kind

RUNBOOKS = PROJECT / "docs" / "runbooks.md"
FIELDS = {"alert", "annotations", "expr", "for", "labels"}
"""Of a rule (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/); `for` may be missing."""
PARTS = ("**Means**", "**Noticed:**", "**Look:**", "**Do:**")
TOLD_BY_EVERY_REPLICA = re.compile(r"imagegen_(queue_\w+|model_workers|workers|results_stored_\w+)\b")
OF_ONE_QUEUE = re.compile(r"(max( by \(\w+\))? \(?|max\(|absent\()$")


def sections():
    """The paragraphs of the runbooks, by their anchors."""
    _, *found = re.split(r"^### ", RUNBOOKS.read_text(), flags=re.MULTILINE)
    return {title.lower(): text.split("\n## ")[0] for title, _, text in (each.partition("\n") for each in found)}


@pytest.mark.parametrize("place", expressions())
def test_every_expression_is_promql(place):
    assert selectors(expressions()[place])


@pytest.mark.parametrize("place", expressions())
def test_what_every_replica_tells_is_never_summed_over_replicas(place):
    expression = expressions()[place]
    for match in TOLD_BY_EVERY_REPLICA.finditer(expression):
        assert OF_ONE_QUEUE.search(expression[: match.start()]), match[0]


def test_every_alert_is_a_rule_that_prometheus_takes():
    names = [alert["alert"] for alert in alerts()]
    assert len(names) == len(set(names)) > 10
    for alert in alerts():
        assert FIELDS - {"for"} <= alert.keys() <= FIELDS, alert["alert"]
        assert alert["alert"].startswith("Imagegen")
        assert alert["labels"].keys() == {"severity"}
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        if "for" in alert:
            promql_parser.parse_duration(alert["for"])


def test_an_alert_names_only_labels_that_its_series_have():
    for alert in alerts():
        for label in re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]):
            assert label == "instance" or re.search(rf"\b{label}\b", alert["expr"]), alert["alert"]


def test_every_alert_has_a_paragraph_in_the_runbooks_and_every_paragraph_an_alert():
    anchors = [alert["annotations"]["runbook"] for alert in alerts()]
    assert anchors == [f"docs/runbooks.md#{alert['alert'].lower()}" for alert in alerts()]
    assert list(sections()) == [alert["alert"].lower() for alert in alerts()], "in the order of the rules"
    for anchor, text in sections().items():
        words = " ".join(text.split())
        places = [words.find(part) for part in PARTS]
        assert -1 < places[0] < places[1] < places[2] < places[3], anchor


def test_the_rules_and_the_dashboard_come_with_production():
    (rule,) = of_kind("production", "PrometheusRule").values()
    assert [each["alert"] for group in rule["spec"]["groups"] for each in group["rules"]] == [
        alert["alert"] for alert in alerts()
    ]
    config = of_kind("production", "ConfigMap")["imagegen-dashboard"]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert yaml.safe_load(config["data"]["imagegen.json"]) == dashboard()


def test_the_dashboard_has_a_row_for_everything_that_an_operator_looks_after():
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert rows == ["Requests", "Queue", "Workers", "Pictures", "Store", "Processes"]


def test_no_panel_lies_on_another_and_each_asks_the_chosen_prometheus():
    taken = set()
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
