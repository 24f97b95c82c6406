import grpc
import pytest
from imagegen.executor.v1 import model_pb2 as executor_models
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import model_pb2

from tests.generation.builders import a_model_message
from tests.generation.conftest import WAIT, eventually
from tests.grpc_errors import reason


def listed(world) -> list[model_pb2.Model]:
    return list(world.first.stub.ListModels(pb.ListModelsRequest(), timeout=WAIT).models)


def refresh(world, *models: executor_models.Model) -> None:
    world.stand_in.models = list(models)
    world.first.tasks.refresh_catalogue()


def test_anybody_sees_a_model_as_the_executor_tells_of_it(world):
    [model] = listed(world)

    told = a_model_message()
    assert model.SerializeToString(deterministic=True) == model_pb2.Model(
        name=told.name,
        display_name={"en": told.display_name.en, "zh": told.display_name.zh},
        description={"en": told.description.en, "zh": told.description.zh},
        license=told.license,
        limits=model_pb2.ModelLimits.FromString(told.limits.SerializeToString()),
        defaults=model_pb2.ModelDefaults.FromString(told.defaults.SerializeToString()),
        negative_prompt_supported=True,
        availability=model_pb2.MODEL_AVAILABILITY_AVAILABLE,
        is_active=True,
    ).SerializeToString(deterministic=True)


def test_models_keep_the_executors_order(world):
    refresh(world, *(a_model_message(name) for name in ("zeta", "alpha", "mid")))
    assert [model.name for model in listed(world)] == ["zeta", "alpha", "mid"]

    refresh(world, *(a_model_message(name) for name in ("mid", "zeta", "alpha")))
    assert [model.name for model in listed(world)] == ["mid", "zeta", "alpha"]


def test_the_list_stays_while_the_executor_is_away(world):
    world.stand_in.go()

    assert [model.name for model in listed(world)] == ["sd15"]


def test_an_unavailable_model_is_listed_with_the_reason(world):
    refresh(
        world,
        a_model_message(
            availability=executor_models.MODEL_AVAILABILITY_UNAVAILABLE, unavailable_reason="No GPU has its files."
        ),
    )

    [model] = listed(world)

    assert model.availability == model_pb2.MODEL_AVAILABILITY_UNAVAILABLE
    assert model.unavailable_reason == "No GPU has its files."


def test_a_model_without_guidance_has_no_limits_of_cfg(world):
    message = a_model_message()
    message.limits.ClearField("cfg")
    refresh(world, message)

    assert not listed(world)[0].limits.HasField("cfg")


def test_the_operators_switch_stays_whatever_the_executor_tells(world):
    world.sql("UPDATE models SET is_active = false")

    refresh(world, a_model_message(license="MIT"))
    assert [(model.license, model.is_active) for model in listed(world)] == [("MIT", False)]

    refresh(world)
    assert listed(world) == []

    refresh(world, a_model_message())
    assert [model.is_active for model in listed(world)] == [False]


def test_what_has_not_changed_is_not_written(world):
    def row() -> tuple[object, ...]:
        with world.engine.begin() as tx:
            return tuple(tx.exec_driver_sql("SELECT xmin, updated_at FROM models").one())

    before = row()
    refresh(world, a_model_message())
    assert row() == before

    refresh(world, a_model_message(license="MIT"))
    assert row() != before


def test_a_list_with_nothing_on_offer_is_asked_for_anew(world):
    world.sql("DELETE FROM models")
    world.clock.advance(seconds=1)

    assert [model.name for model in listed(world)] == [a_model_message().name]


def test_before_the_executor_has_ever_told_of_models_the_list_is_not_known(world):
    world.sql("DELETE FROM models")
    world.stand_in.go()

    with pytest.raises(grpc.RpcError) as caught:
        listed(world)

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")


def test_models_that_are_installed_and_removed_come_and_go_by_themselves(world):
    world.first.reconciler.start()

    for installed in (["sd15", "mine"], ["mine"], ["mine", "sd15"]):
        world.stand_in.models = [a_model_message(name) for name in installed]
        eventually(lambda installed=installed: [model.name for model in listed(world)] == installed)


def test_a_model_that_a_declared_pool_can_serve_is_cold(world):
    refresh(world, a_model_message(availability=executor_models.MODEL_AVAILABILITY_COLD))

    assert [model.availability for model in listed(world)] == [model_pb2.MODEL_AVAILABILITY_COLD]
