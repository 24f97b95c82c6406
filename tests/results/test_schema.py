import pytest
import sqlalchemy as sa


def test_the_database_itself_refuses_a_result_that_cannot_be(world):
    world.store()

    for broken in ('"index" = -1', "width = 0", "height = 0", "size_bytes = 0", "sha256 = 'A'"):
        with pytest.raises(sa.exc.IntegrityError):
            world.sql(f"UPDATE results SET {broken}")


def test_the_database_itself_keeps_one_result_for_each_place_of_a_task(world):
    world.store()

    with pytest.raises(sa.exc.IntegrityError):
        world.sql(
            "INSERT INTO results SELECT (r).* FROM"
            " (SELECT jsonb_populate_record(r, jsonb_build_object('id', uuidv7())) AS r FROM results AS r)"
        )
