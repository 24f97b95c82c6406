"""A person's gallery over REST."""

from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from imagegen.results.v1 import recipe_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import NOON_TEXT, a_result, refused
from tests.gateway.neighbours import Refusal

GALLERY = "/api/v1/results"


def test_the_gallery_shows_pictures_with_what_they_were_painted_from(client, behind):
    picture = a_result(prompt="雨后的江南古镇", model="sd15", favorite=True)
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=[picture])
    response = client.get(GALLERY)
    (shown,) = response.json()["results"]
    assert (shown["id"], shown["prompt"], shown["model"]) == (picture.id, "雨后的江南古镇", "sd15")
    assert (shown["favorite"], shown["created_at"]) == (True, NOON_TEXT)
    assert shown["image_url"].startswith(f"{client.base_url}{GALLERY}/{picture.id}/image?")
    assert response.json()["next_cursor"] is None
    assert "link" not in response.headers
    assert client.get(GALLERY, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    assert behind.results.last.message == results.ListResultsRequest(page_size=20)


def test_a_picture_of_old_says_nothing_of_its_model_and_prompt(client, behind):
    old = a_result(model="", prompt="")
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=[old])
    (shown,) = client.get(GALLERY).json()["results"]
    assert shown["model"] is shown["prompt"] is None


def test_every_filter_is_passed_on(client, behind):
    behind.results.answers["ListResults"] = results.ListResultsResponse()
    query = {
        "limit": 5,
        "cursor": "abc",
        "model": "sdxl",
        "favorite": "true",
        "created_from": "2026-06-01T12:00:00Z",
        "created_before": "2026-06-01T14:00:01+02:00",
        "q": "江南",
    }
    assert client.get(GALLERY, params=query).status_code == 200
    assert behind.results.last.message == results.ListResultsRequest(
        page_size=5,
        page_token="abc",
        model="sdxl",
        favorite=True,
        created_from=Timestamp(seconds=1_780_315_200),
        created_before=Timestamp(seconds=1_780_315_201),
        text="江南",
    )


def test_what_is_no_favorite_can_be_asked_for(client, behind):
    behind.results.answers["ListResults"] = results.ListResultsResponse()
    client.get(GALLERY, params={"favorite": "false"})
    assert behind.results.last.message.HasField("favorite")
    assert not behind.results.last.message.favorite


def test_the_next_page_is_linked_with_the_same_filters(client, behind):
    behind.results.answers["ListResults"] = results.ListResultsResponse(next_page_token="two")
    response = client.get(GALLERY, params={"q": "江南", "cursor": "one", "limit": 7})
    assert response.json()["next_cursor"] == "two"
    following = response.links["next"]["url"]
    client.get(following)
    assert behind.results.last.message == results.ListResultsRequest(page_size=7, page_token="two", text="江南")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("favorite", "perhaps"),
        ("created_from", "yesterday"),
        ("q", "a" * 201),
        ("model", "a" * 65),
        ("cursor", "a" * 257),
    ],
)
def test_a_filter_that_breaks_a_rule_is_named(client, parameter, value):
    problem = refused(client.get(GALLERY, params={parameter: value}), 422, "invalid_field")
    assert [error["parameter"] for error in problem["errors"]] == [parameter]


def test_a_cursor_of_another_list_is_refused(client, behind):
    behind.results.answers["ListResults"] = Refusal(
        StatusCode.INVALID_ARGUMENT, "INVALID_CURSOR", fields=[("page_token", "is of another list")]
    )
    problem = refused(client.get(GALLERY, params={"cursor": "abc"}), 422, "invalid_cursor")
    assert [error["parameter"] for error in problem["errors"]] == ["cursor"]


@pytest.mark.parametrize(("verb", "favorite"), [("PUT", True), ("DELETE", False)])
def test_a_favorite_is_marked_and_unmarked(client, behind, verb, favorite):
    behind.results.answers["SetFavorite"] = results.SetFavoriteResponse()
    id_ = str(uuid4())
    response = client.request(verb, f"{GALLERY}/{id_}/favorite")
    assert (response.status_code, response.content) == (204, b"")
    assert behind.results.last.message == results.SetFavoriteRequest(result_id=id_, favorite=favorite)


def test_many_are_deleted_at_once_and_each_has_its_outcome(client, behind):
    outcome = results.BatchDeleteResultsResponse
    behind.results.answers["BatchDeleteResults"] = outcome(
        outcomes=[outcome.OUTCOME_DELETED, outcome.OUTCOME_NOT_FOUND, outcome.OUTCOME_DELETED]
    )
    first, second = str(uuid4()), str(uuid4())
    response = client.post(f"{GALLERY}/delete", json={"ids": [first, second, first]})
    assert response.status_code == 200
    assert response.json() == {
        "results": [
            {"id": first, "outcome": "deleted"},
            {"id": second, "outcome": "not_found"},
            {"id": first, "outcome": "deleted"},
        ]
    }
    assert list(behind.results.last.message.result_ids) == [first, second, first]


@pytest.mark.parametrize("path", ["delete", "archive"])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/ids"),
        ({"ids": []}, "#/ids"),
        ({"ids": [str(uuid4())] * 101}, "#/ids"),
        ({"ids": [str(uuid4()), "nonsense"]}, "#/ids/1"),
        ({"ids": [str(uuid4()), 7]}, "#/ids/1"),
        ({"ids": [str(uuid4())], "all": True}, "#/all"),
    ],
)
def test_a_selection_has_from_one_to_a_hundred_ids(client, path, body, pointer):
    problem = refused(client.post(f"{GALLERY}/{path}", json=body), 422, "invalid_field")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_a_recipe_is_what_generate_takes_and_two_things_more(client, behind):
    recipe = recipe_pb2.Recipe(
        model="sdxl",
        prompt="雨后",
        negative_prompt="模糊",
        width=64,
        height=48,
        steps=4,
        cfg=7.5,
        seed=2**62,
        count=2,
        engine="ComfyUI 0.33, cpu",
    )
    behind.results.answers["GetRecipe"] = results.GetRecipeResponse(recipe=recipe, index=1)
    id_ = str(uuid4())
    shown = client.get(f"{GALLERY}/{id_}/recipe").json()
    assert behind.results.last.message.result_id == id_
    assert (shown.pop("index"), shown.pop("engine")) == (1, "ComfyUI 0.33, cpu")
    assert shown == {
        "model": "sdxl",
        "prompt": "雨后",
        "negative_prompt": "模糊",
        "width": 64,
        "height": 48,
        "steps": 4,
        "cfg": 7.5,
        "seed": 2**62,
        "count": 2,
    }


def test_a_recipe_whose_engine_is_not_known_says_so(client, behind):
    behind.results.answers["GetRecipe"] = results.GetRecipeResponse(recipe=recipe_pb2.Recipe(model="sdxl"))
    assert client.get(f"{GALLERY}/{uuid4()}/recipe").json()["engine"] is None


@pytest.mark.parametrize("reason", ["RECIPE_UNKNOWN", "RESULT_NOT_FOUND"])
def test_a_recipe_that_is_not_there_is_a_problem(client, behind, reason):
    behind.results.answers["GetRecipe"] = Refusal(StatusCode.NOT_FOUND, reason)
    refused(client.get(f"{GALLERY}/{uuid4()}/recipe"), 404, reason.lower())


@pytest.mark.parametrize("verb", ["PUT", "DELETE"])
def test_somebody_elses_picture_cannot_be_marked(client, behind, verb):
    behind.results.answers["SetFavorite"] = Refusal(StatusCode.NOT_FOUND, "RESULT_NOT_FOUND")
    refused(client.request(verb, f"{GALLERY}/{uuid4()}/favorite"), 404, "result_not_found")


@pytest.mark.parametrize(("verb", "path"), [("GET", "recipe"), ("PUT", "favorite"), ("DELETE", "favorite")])
def test_an_id_that_cannot_be_one_is_not_found(client, verb, path):
    refused(client.request(verb, f"{GALLERY}/nonsense/{path}"), 404, "result_not_found")
