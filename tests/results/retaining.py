"""Pictures that stay for thirty days, and days that pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import REGISTRY

from services.runtime.protos import from_timestamp
from tests.results.conftest import World
from tests.results.test_storage import Installation, installation


@contextmanager
def retaining(world: World) -> Iterator[Installation]:
    """Pictures stay for thirty days, and have done so for a long time."""
    with installation(world, retention_days=30) as it:
        it.results.retention.sweep()
        world.sql("UPDATE retention SET since = since - interval '10 years'")
        yield it


def age(world: World, days: float, *result_ids: str) -> None:
    """As if so many days had passed since these were let go, or all."""
    ids = ", ".join(f"'{result_id}'" for result_id in result_ids)
    where = f"WHERE id IN ({ids})" if ids else ""
    world.sql(f"UPDATE results SET let_go_at = let_go_at - {days * 24} * interval '1 hour' {where}")


def expiry(world: World, owner, result_id: str) -> datetime | None:
    result = world.get(owner, result_id)
    return from_timestamp(result.expire_time) if result.HasField("expire_time") else None


def counted() -> float:
    return REGISTRY.get_sample_value("imagegen_results_expired_total") or 0


def sweep_all(it: Installation) -> None:
    while it.results.retention.sweep():
        pass
