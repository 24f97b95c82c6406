"""Bells on a real Redis."""

from uuid import uuid4

import redis

from services.executor.bell import Bell, bell_of_engine, bell_of_model, celery_app


def test_a_bell_lies_in_the_queue_that_its_hearers_listen_to_and_nowhere_else(redis_url):
    engine_id = uuid4()
    bell = Bell(celery_app(redis_url))
    bell.ring("sd15")
    bell.call(engine_id, "sd15")
    bell.close()
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        rung = {name: client.llen(name) for name in client.scan_iter()}
    assert rung == {bell_of_model("sd15").name: 1, bell_of_engine(engine_id).name: 1}
