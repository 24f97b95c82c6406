"""A process's metrics, as Prometheus reads them."""

from pathlib import Path

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.installation import Installation


def scrape(address: str) -> list[Metric]:
    """What is told at `host:port`."""
    answer = httpx.get(f"http://{address}/metrics", trust_env=False)
    return list(text_string_to_metric_families(answer.raise_for_status().text))


def figure(address: str, name: str, **labels: str) -> float | None:
    """One of our samples; None if there is no such."""
    samples = (sample for family in scrape(address) for sample in family.samples)
    return next((each.value for each in samples if (each.name, each.labels) == (f"imagegen_{name}", labels)), None)


def metrics_addresses(installation: Installation) -> dict[str, str]:
    """Of each of our processes that has one, by the process's name."""
    found = {}
    for name, process in installation.processes.items():
        if process["pid"] is None:  # it has done its work, as the migration does
            continue
        environment = Path(f"/proc/{process['pid']}/environ").read_text().split("\0")
        settings = dict(each.split("=", 1) for each in environment if "=" in each)
        if listen := settings.get("METRICS_LISTEN"):
            found[name] = listen
    return found
