"""A person's gallery: pictures found, looked at, marked, deleted, and what they were painted from."""

from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from imagegen.results.v1 import recipe_pb2, result_pb2
from imagegen.results.v1 import results_service_pb2 as results
from pydantic import ConfigDict, Field
from starlette.convertors import StringConvertor, register_url_convertor

from gateway.bodies import Answer, Body, Moment, NoNul
from gateway.clients import CallsDependency
from gateway.origins import Origin
from gateway.paging import LINK, Cursor, next_cursor
from gateway.problems import SIGNED_IN, WITH_BODY, problems
from gateway.results import Result
from gateway.security import signed_in
from services.runtime.protos import from_enum, to_timestamp


class _ResultId(StringConvertor):
    """Any segment but those that are paths of their own: a method which those do not know must not be taken for a
    question about a result.
    """

    regex = "(?!(?:archive|delete|storage)(?:/|$))[^/]+"


register_url_convertor("result_id", _ResultId())
RESULT = "/{result_id:result_id}"

router = APIRouter(prefix="/api/v1/results", tags=["results"], dependencies=[signed_in])

Ids = Annotated[list[Annotated[UUID, Field(strict=False)]], Field(min_length=1, max_length=100)]
"""Of results. An empty list would ask the service for everything."""


class Picture(Result):
    """A result in the gallery."""

    model: str | None
    """Null if it is so old that nobody noted it."""
    prompt: str | None
    """Null if it is so old that nobody noted it."""
    favorite: bool

    @classmethod
    def from_proto(cls, result: result_pb2.Result, origin: str) -> Self:
        shown = Result.from_proto(result, origin)
        known = bool(result.model)
        return cls(
            **vars(shown),
            model=result.model if known else None,
            prompt=result.prompt if known else None,
            favorite=result.favorite,
        )


class Gallery(Answer):
    results: list[Picture]
    next_cursor: str | None
    """Asks for the next page; null on the last."""


class ResultRecipe(Answer):
    """What a picture was painted from. All but `index` and `engine` is what `/generation/generate` takes; the same
    engine then gives the same picture, at the same index.
    """

    model: str
    prompt: str
    negative_prompt: str
    width: int
    """As it was asked for: what a workflow enlarges is larger."""
    height: int
    steps: int
    cfg: float
    seed: int
    count: int
    index: int
    """Place of the picture among those that were painted with it."""
    engine: str | None
    """What painted it, with its version and device; null if that was not known."""

    @classmethod
    def from_proto(cls, recipe: recipe_pb2.Recipe, index: int) -> Self:
        return cls(
            model=recipe.model,
            prompt=recipe.prompt,
            negative_prompt=recipe.negative_prompt,
            width=recipe.width,
            height=recipe.height,
            steps=recipe.steps,
            cfg=recipe.cfg,
            seed=recipe.seed,
            count=recipe.count,
            index=index,
            engine=recipe.engine or None,
        )


class Selection(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"ids": ["01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21", "01981f60-1b52-7f0e-8c11-90a7be64d3f8"]}]
        }
    )

    ids: Ids


class Deletion(Answer):
    id: str
    outcome: Literal["deleted", "not_found"]
    """`not_found`: there is no such result, or it belongs to somebody else."""


class Deletions(Answer):
    results: list[Deletion]
    """One for each id, in the order they were sent; one that was sent twice is there twice, with the same outcome."""


@router.get("", responses={200: {"headers": LINK}, **problems(*SIGNED_IN, "invalid_field", "invalid_cursor")})
async def gallery(
    *,
    calls: CallsDependency,
    origin: Origin,
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=100, description="Results on a page.")] = 20,
    cursor: Cursor = "",
    model: Annotated[NoNul, Query(max_length=64, description="Only results of this model.")] = "",
    favorite: Annotated[bool | None, Query(description="Only favorites, or only others.")] = None,
    created_from: Annotated[Moment | None, Query(description="Only results made at this moment or later.")] = None,
    created_before: Annotated[Moment | None, Query(description="Only results made before this moment.")] = None,
    q: Annotated[
        NoNul,
        Query(
            max_length=200,
            description="Only results whose prompt has all of these words, in any order and case. A word of three "
            "characters or more finds those that begin so; in scripts without spaces, one character or more find the "
            "texts that have them side by side.",
        ),
    ] = "",
) -> Gallery:
    """The caller's pictures that pass every filter, newest first."""
    answer = await calls.unary(
        calls.results.ListResults,
        results.ListResultsRequest(
            page_size=limit,
            page_token=cursor,
            model=model,
            favorite=favorite,
            created_from=to_timestamp(created_from),
            created_before=to_timestamp(created_before),
            text=q,
        ),
    )
    return Gallery(
        results=[Picture.from_proto(result, origin) for result in answer.results],
        next_cursor=next_cursor(request, response, answer.next_page_token),
    )


@router.post("/delete", responses=problems(*WITH_BODY, *SIGNED_IN))
async def delete_results(body: Selection, calls: CallsDependency) -> Deletions:
    """Delete up to a hundred pictures for good. What is not there keeps no other from being deleted."""
    ids = [str(result_id) for result_id in body.ids]
    answer = await calls.unary(calls.results.BatchDeleteResults, results.BatchDeleteResultsRequest(result_ids=ids))
    outcome = results.BatchDeleteResultsResponse.Outcome
    return Deletions(
        results=[
            Deletion(id=result_id, outcome=from_enum(outcome, number))
            for result_id, number in zip(ids, answer.outcomes, strict=True)
        ]
    )


@router.get(RESULT, responses=problems(*SIGNED_IN, "result_not_found"))
async def get_result(result_id: UUID, calls: CallsDependency, origin: Origin) -> Picture:
    """One of the caller's pictures."""
    answer = await calls.unary(calls.results.GetResult, results.GetResultRequest(result_id=str(result_id)))
    return Picture.from_proto(answer.result, origin)


@router.get("/{result_id}/recipe", responses=problems(*SIGNED_IN, "result_not_found", "recipe_unknown"))
async def get_recipe(result_id: UUID, calls: CallsDependency) -> ResultRecipe:
    """What a picture was painted from: enough to paint it again."""
    answer = await calls.unary(calls.results.GetRecipe, results.GetRecipeRequest(result_id=str(result_id)))
    return ResultRecipe.from_proto(answer.recipe, answer.index)


@router.put("/{result_id}/favorite", status_code=204, responses=problems(*SIGNED_IN, "result_not_found"))
async def mark_favorite(result_id: UUID, calls: CallsDependency) -> None:
    """Mark a picture as a favorite; may be repeated."""
    request = results.SetFavoriteRequest(result_id=str(result_id), favorite=True)
    await calls.unary(calls.results.SetFavorite, request)


@router.delete("/{result_id}/favorite", status_code=204, responses=problems(*SIGNED_IN, "result_not_found"))
async def unmark_favorite(result_id: UUID, calls: CallsDependency) -> None:
    """Mark a picture as no favorite any more; may be repeated."""
    request = results.SetFavoriteRequest(result_id=str(result_id), favorite=False)
    await calls.unary(calls.results.SetFavorite, request)


@router.delete(RESULT, status_code=204, responses=problems(*SIGNED_IN, "result_not_found"))
async def delete_result(result_id: UUID, calls: CallsDependency) -> None:
    """Delete a picture for good."""
    await calls.unary(calls.results.DeleteResult, results.DeleteResultRequest(result_id=str(result_id)))
