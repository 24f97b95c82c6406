"""Cursors across restarts of a server, on real Valkey."""

from uuid import uuid4

import redis
from imagegen.executor.v1 import executor_service_pb2 as pb

from services.executor.domain import JobId
from services.executor.events import EVENTS
from tests.executor.conftest import serving
from tests.executor.test_server import GENERATION, first_event, submit


def tell(executor, redis_url, events=1):
    """Log that many events of other jobs, however often Redis is too slow for one."""
    with redis.Redis.from_url(redis_url) as client:

        def told() -> int:
            return client.xinfo_stream(EVENTS)["entries-added"] if client.exists(EVENTS) else 0

        wanted = told() + events
        while (missing := wanted - told()) > 0:
            for _ in range(missing):
                executor.publisher.progress(JobId(uuid4()), 0, 1, 2)


def a_cursor(executor, redis_url, job_id):
    while not (cursor := first_event(executor, job_id).cursor).partition(".")[0]:
        tell(executor, redis_url)
    return cursor


def resumed(executor, job_id, cursor):
    request = pb.WatchJobRequest(job_id=job_id, cursor=cursor)
    return next(executor.stub.WatchJob(request, metadata=GENERATION, timeout=20))


def test_a_server_that_starts_on_a_trimmed_log_resets_cursors_from_before(database, register_worker, redis_url):
    register_worker("sd15")
    with serving(database, redis_url) as first:
        job = submit(first)
        cursor = a_cursor(first, redis_url, job.id)
        tell(first, redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.xtrim(EVENTS, maxlen=1, approximate=False)  # as Redis does by itself after EVENTS_KEPT more
    with serving(database, redis_url) as second:
        assert resumed(second, job.id, cursor).HasField("reset")


def test_a_cursor_is_good_at_a_server_that_has_just_started(database, register_worker, redis_url):
    register_worker("sd15")
    with serving(database, redis_url) as first:
        job = submit(first)
        cursor = a_cursor(first, redis_url, job.id)
        tell(first, redis_url, 2000)
        request = pb.CancelJobRequest(job_id=job.id, owner_id=job.owner_id)
        first.stub.CancelJob(request, metadata=GENERATION, timeout=20)
    with serving(database, redis_url) as second:
        assert resumed(second, job.id, cursor).HasField("status")
