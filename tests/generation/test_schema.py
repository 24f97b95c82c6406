import pytest
import sqlalchemy as sa


@pytest.mark.parametrize(
    "broken",
    [
        "status = 'resting'",
        "finished_at = now()",
        "status = 'completed', waiting_reason = NULL",
        "status = 'failed', waiting_reason = NULL, finished_at = now()",
        "waiting_reason = NULL",
        "failure_reason = 'refused', failure_message = 'no'",
        "seed = -1",
        "seed = 9007199254740992",
        "job_version = 1",
        "submitted_at = now()",
        "request_id = 'r'",
    ],
)
def test_the_database_itself_refuses_a_task_that_cannot_be(world, broken):
    world.create()

    with pytest.raises(sa.exc.IntegrityError):
        world.sql(f"UPDATE generation_tasks SET {broken}")


def test_the_database_itself_keeps_one_task_for_each_request(world):
    world.create(request_id="r")

    with pytest.raises(sa.exc.IntegrityError):
        world.sql(
            "INSERT INTO generation_tasks SELECT gen_random_uuid(), user_id, prompt, negative_prompt, model_name,"
            " width, height, steps, cfg, seed, count, status, request_id, request_hash, waiting_reason,"
            " failure_reason, failure_message, job_version, submit_tried_at, submitted_at, cancel_requested_at,"
            " origin, created_at, started_at, finished_at FROM generation_tasks"
        )
