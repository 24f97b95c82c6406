"""However many watch, a server follows the log over one connection."""

import asyncio
from uuid import UUID, uuid4

import grpc
import redis
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import executor_service_pb2_grpc, job_pb2

from services.executor.domain import JobId
from tests.identities import as_service

GENERATION = as_service("generation", "executor")
WATCHERS = 500
WAIT_SECONDS = 60


def test_five_hundred_watchers_share_one_redis_connection_and_see_the_same(executor, register_worker, redis_url):
    register_worker("sd15")
    spec = job_pb2.JobSpec(prompt="a lighthouse", width=512, height=512, steps=20, cfg=7.0, seed=1, count=1)
    jobs = [
        executor.stub.SubmitJob(
            pb.SubmitJobRequest(job_id=str(uuid4()), owner_id=str(uuid4()), model="sd15", spec=spec),
            metadata=GENERATION,
        ).job.id
        for _ in range(5)
    ]

    before, during, steps = asyncio.run(watched(executor, jobs, redis_url))

    assert during == before
    assert steps == [(1, 20)] * WATCHERS


async def watched(executor, jobs: list[str], redis_url: str) -> tuple[set[str], set[str], list[tuple[int, int]]]:
    """(connections of Redis before and while everybody watches, the first progress that each watcher saw)."""
    with redis.Redis.from_url(redis_url) as admin:
        for job_id in jobs:  # what the process opens to write is open now
            executor.publisher.progress(JobId(UUID(job_id)), 0, 0, 20)
        before = connections(admin)
        async with grpc.aio.insecure_channel(executor.address) as channel:
            stub = executor_service_pb2_grpc.ExecutorServiceStub(channel)
            calls = [
                stub.WatchJob(pb.WatchJobRequest(job_id=jobs[number % len(jobs)]), metadata=GENERATION)
                for number in range(WATCHERS)
            ]
            snapshots = await asyncio.wait_for(asyncio.gather(*(call.read() for call in calls)), WAIT_SECONDS)
            assert all(event.HasField("snapshot") for event in snapshots)
            for job_id in jobs:
                executor.publisher.progress(JobId(UUID(job_id)), 0, 1, 20)
            steps = await asyncio.wait_for(asyncio.gather(*map(first_step, calls)), WAIT_SECONDS)
            during = connections(admin)
            for call in calls:
                call.cancel()
    return before, during, steps


def connections(admin: redis.Redis) -> set[str]:
    return {client["id"] for client in admin.client_list()}


async def first_step(call) -> tuple[int, int]:
    while True:
        event = await call.read()
        if event.HasField("progress") and event.progress.step:
            return event.progress.step, event.progress.steps
