"""Proto ↔ domain."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from imagegen.results.v1 import picture_pb2, recipe_pb2, result_pb2, results_service_pb2

from services.results.delivery import Sent, Wanted
from services.results.domain import ByteRange, Filter, Recipe, Result
from services.results.links import ImageLink
from services.results.variants import Format
from services.runtime.protos import from_timestamp, to_timestamp


def result_to_proto(result: Result, link: ImageLink, *, painted_from: bool = True) -> result_pb2.Result:
    expire_time = to_timestamp(result.expires_at) if result.expires_at else None
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
        thumb_hash=result.thumb_hash,
        favorite=result.favorite,
        model=result.recipe.model if painted_from else "",
        prompt=result.recipe.prompt if painted_from else "",
        expire_time=expire_time,
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


_FORMATS: Mapping[int, Format] = {
    picture_pb2.PICTURE_FORMAT_PNG: Format.PNG,
    picture_pb2.PICTURE_FORMAT_JPEG: Format.JPEG,
    picture_pb2.PICTURE_FORMAT_WEBP: Format.WEBP,
    picture_pb2.PICTURE_FORMAT_AVIF: Format.AVIF,
}


def wanted_from_proto(request: results_service_pb2.DownloadResultRequest) -> Wanted:
    return Wanted(
        width=request.width if request.HasField("width") else None,
        formats=formats_from_proto(request.formats),
        range=range_from_proto(request.range) if request.HasField("range") else None,
        if_range_sha256=request.if_range_sha256,
        redirect=request.redirect,
    )


def formats_from_proto(formats: Iterable[int]) -> Sequence[Format]:
    return [_FORMATS[format_] for format_ in formats]


def range_from_proto(range_: picture_pb2.ByteRange) -> ByteRange:
    if range_.HasField("suffix_length"):
        return ByteRange(suffix_length=range_.suffix_length)
    return ByteRange(range_.first, range_.last if range_.HasField("last") else None)


def picture_to_proto(sent: Sent) -> picture_pb2.Picture:
    return picture_pb2.Picture(
        media_type=sent.variant.media_type,
        size_bytes=sent.variant.size_bytes,
        sha256=sent.variant.sha256,
        width=sent.variant.width,
        height=sent.variant.height,
        offset=sent.offset,
        length=sent.length,
        redirect_url=sent.redirect_url,
        redirect_seconds=sent.redirect_seconds,
        file_name=sent.file_name,
    )
