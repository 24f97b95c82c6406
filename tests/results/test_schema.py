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


def test_the_database_itself_refuses_a_thumb_hash_that_is_none(world):
    world.store()

    with pytest.raises(sa.exc.IntegrityError):
        world.sql("UPDATE results SET thumb_hash = decode(repeat('00', 26), 'hex')")


A_VARIANT = "INSERT INTO variants SELECT id, 'image/webp', 320, 180, id || '.webp', 9, sha256, now() FROM results"


def test_the_database_itself_refuses_a_variant_that_cannot_be(world):
    world.store()
    world.sql(A_VARIANT)

    for broken in ("width = 0", "height = 0", "size_bytes = 0", "sha256 = 'A'", "result_id = uuidv7()"):
        with pytest.raises(sa.exc.IntegrityError):
            world.sql(f"UPDATE variants SET {broken}")
    with pytest.raises(sa.exc.IntegrityError):
        world.sql(A_VARIANT)


def test_the_database_itself_keeps_a_result_as_long_as_it_has_variants(world):
    world.store()
    world.sql(A_VARIANT)

    with pytest.raises(sa.exc.IntegrityError):
        world.sql("DELETE FROM results")
