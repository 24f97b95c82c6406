"""Proto ↔ domain."""

from dataclasses import asdict

from imagegen.results.v1 import recipe_pb2, result_pb2, results_service_pb2

from services.results.domain import Filter, Recipe, Result
from services.results.links import ImageLink
from services.runtime.protos import from_timestamp, to_timestamp


def result_to_proto(result: Result, link: ImageLink, *, painted_from: bool = True) -> result_pb2.Result:
    return result_pb2.Result(
        id=str(result.id),
        task_id=str(result.task_id),
        index=result.index,
        width=result.width,
        height=result.height,
        size_bytes=result.size_bytes,
        sha256=result.sha256,
        media_type=result.media_type,
        create_time=to_timestamp(result.created_at),
        image_link=result_pb2.ImageLink(expires=link.expires, signature=link.signature),
        favorite=result.favorite,
        model=result.recipe.model if painted_from else "",
        prompt=result.recipe.prompt if painted_from else "",
    )


def filter_from_proto(request: results_service_pb2.ListResultsRequest) -> Filter:
    return Filter(
        model=request.model,
        favorite=request.favorite if request.HasField("favorite") else None,
        created_from=from_timestamp(request.created_from) if request.HasField("created_from") else None,
        created_before=from_timestamp(request.created_before) if request.HasField("created_before") else None,
        text=request.text,
    )


def recipe_to_proto(recipe: Recipe) -> recipe_pb2.Recipe:
    return recipe_pb2.Recipe(**asdict(recipe))


def recipe_from_proto(recipe: recipe_pb2.Recipe) -> Recipe:
    return Recipe(
        model=recipe.model,
        prompt=recipe.prompt,
        negative_prompt=recipe.negative_prompt,
        width=recipe.width,
        height=recipe.height,
        steps=recipe.steps,
        cfg=recipe.cfg,
        seed=recipe.seed,
        count=recipe.count,
        engine=recipe.engine,
    )
