"""Proto ↔ domain."""

from imagegen.results.v1 import recipe_pb2, result_pb2

from services.results.domain import Recipe, Result
from services.results.links import ImageLink
from services.runtime.protos import to_timestamp


def result_to_proto(result: Result, link: ImageLink) -> result_pb2.Result:
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
    )


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
