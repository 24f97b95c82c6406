"""What is asked of Prometheus and what is written about metrics is what a whole installation tells."""

import re
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.deploy.promql import expressions, selectors
from tests.deploy.waiting import wait_until
from tests.scraping import figure, metrics_addresses, scrape

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"\| `(?P<name>imagegen_\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*)\| (?P<by>[^|]+) \|")
OF_PROMETHEUS = {"instance", "job", "namespace", "pod"}
"""Labels that come with the target."""


@pytest.fixture
def told(installation, person):
    """What each process tells once a picture has been painted: name → its families that have samples."""
    person.ended(person.generate()["id"])
    addresses = metrics_addresses(installation)
    return {process: [each for each in scrape(listen) if each.samples] for process, listen in addresses.items()}


def labels_of(family):
    return {label for sample in family.samples for label in sample.labels} - {"le"}


def test_every_metric_that_is_asked_for_is_told_with_the_labels_that_are_asked_for(told):
    samples = {
        sample.name: sample.labels.keys() for families in told.values() for each in families for sample in each.samples
    }
    for place, expression in expressions().items():
        asked = selectors(expression)
        assert asked, place
        for selector in asked:
            if selector.name.startswith("envoy_"):
                continue  # tests/deploy/test_envoy_metrics.py: on one machine Envoy tells none
            assert selector.name in samples, f"{place}: nobody tells {selector.name}"
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= samples[selector.name] | OF_PROMETHEUS, f"{place}: {selector.name}"


def test_the_list_of_metrics_is_whole_and_true(told):
    written = {
        row["name"]: (row["type"], set(re.findall(r"`(\w+)`", row["labels"])), row["by"])
        for row in ROW.finditer(DOCUMENT.read_text())
    }
    found = {}
    for process, families in told.items():
        for family in families:
            if family.name.startswith("imagegen_"):
                name = f"{family.name}_total" if family.type == "counter" else family.name
                type_, labels, by = found.setdefault(name, (family.type, labels_of(family), []))
                by.append(process)
                assert (type_, labels) == (family.type, labels_of(family)), name
    processes = sorted(told)
    as_written = {
        name: (type_, labels, "all" if sorted(by) == processes else ", ".join(sorted(by)))
        for name, (type_, labels, by) in found.items()
    }
    assert as_written == written


def test_the_queue_is_looked_at_though_nobody_asks(installation):
    listen = metrics_addresses(installation)["executor"]
    before = figure(listen, "queue_seen_timestamp_seconds")
    wait_until(lambda: figure(listen, "queue_seen_timestamp_seconds") > before)


def test_paths_and_methods_that_visitors_invent_are_counted_under_one_name(installation):
    address = installation.processes["app"]["address"]
    listen = metrics_addresses(installation)["app"]
    assert httpx.request("BREW", f"http://{address}/{uuid4()}", trust_env=False).status_code == 404
    wait_until(lambda: figure(listen, "http_requests_total", method="other", route="unknown", status="404"))
