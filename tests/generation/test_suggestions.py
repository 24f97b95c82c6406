from uuid import uuid4

import pytest
from imagegen.generation.v1 import generation_service_pb2 as pb

from services.generation.suggestions import FOLDER, load_vocabulary
from tests.generation.conftest import WAIT
from tests.identities import as_person

HISTORY, VOCABULARY = pb.Suggestion.SOURCE_HISTORY, pb.Suggestion.SOURCE_VOCABULARY


@pytest.fixture
def suggested(world):
    def ask(text: str, *, size: int = 0, owner: object = None) -> list[tuple[str, int]]:
        request = pb.SuggestPromptsRequest(text=text, page_size=size)
        answer = world.first.stub.SuggestPrompts(request, metadata=as_person(owner or world.me), timeout=WAIT)
        return [(suggestion.text, suggestion.source) for suggestion in answer.suggestions]

    return ask


def test_ones_own_prompts_come_first_the_newest_before_the_older(world, suggested):
    for prompt in ("Golden fields", "a tower", "golden gate at dawn", "Golden fields"):
        world.create(prompt=prompt)

    assert suggested("gold", size=4) == [
        ("Golden fields", HISTORY),
        ("golden gate at dawn", HISTORY),
        ("golden hour", VOCABULARY),
        ("golden ratio", VOCABULARY),
    ]


def test_a_prompt_is_found_whatever_its_case_and_language(world, suggested):
    for prompt in ("ÉGLISE au soleil", "水墨山水，远山如黛", "100% wool_cat"):
        world.create(prompt=prompt)

    assert suggested("église")[0] == ("ÉGLISE au soleil", HISTORY)
    assert suggested("水墨山")[0] == ("水墨山水，远山如黛", HISTORY)
    assert suggested("100%")[0] == ("100% wool_cat", HISTORY)
    assert suggested("100_") == []


def test_what_is_already_typed_in_full_is_not_suggested(world, suggested):
    world.create(prompt="a lonely zzz")

    assert suggested("a lonely zzz") == []


def test_nobody_is_suggested_somebody_elses_prompt(world, suggested):
    world.create(prompt="zzz secret")

    assert suggested("zzz", owner=uuid4()) == []


def test_with_nothing_typed_recent_prompts_come_and_then_starters_of_both_languages(world, suggested):
    world.create(prompt="my own")

    [own, *starters] = suggested("")

    assert own == ("my own", HISTORY)
    assert len(starters) == 7
    assert {text.isascii() for text, _ in starters} == {True, False}
    assert suggested("  ", owner=uuid4())[0][1] == VOCABULARY


def test_no_more_are_suggested_than_asked_for(world, suggested):
    for number in range(12):
        world.create(prompt=f"a {number}")

    assert [len(suggested("a", size=size)) for size in (0, 1, 20)] == [8, 1, 20]


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("cinematic l", "cinematic lighting"),
        ("a woman, golden h", "a woman, golden hour"),
        ("a woman, Gold", "a woman, Golden hour"),
        ("a man, 85mm p", "a man, 85mm portrait lens"),
        ("a vase in golden ", "a vase in golden hour"),
        ("水墨", "水墨画"),
        ("一只猫，赛博", "一只猫，赛博朋克"),
        ("一只猫 赛博", "一只猫 赛博朋克"),
        ("一只可爱的赛博", "一只可爱的赛博朋克"),
        ("a cat, 水墨", "a cat, 水墨画"),
    ],
)
def test_the_last_words_are_completed(text, completed):
    assert completed in load_vocabulary().completions(text)


@pytest.mark.parametrize("text", ["a cat, ", "a cat，", "qqq", "江南水乡", "!?", "x" * 2000, "猫" * 2000, "a " * 1000])
def test_text_that_no_phrase_continues_has_no_completions(text):
    assert list(load_vocabulary().completions(text)) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_vocabulary_has_some_hundred_phrases_each_once(language):
    lines = (FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    phrases = [line for line in lines if line and not line.startswith("# ")]

    assert len(phrases) > 400
    assert len(phrases) == len(set(phrases))
    assert all(phrase == phrase.strip() for phrase in phrases)


def test_a_long_history_is_not_searched_beyond_what_is_recent(world, suggested):
    world.create(prompt="a last one")
    world.sql(
        "INSERT INTO generation_tasks SELECT uuidv7(), user_id, 'a picture, number ' || n, negative_prompt,"
        " model_name, width, height, steps, cfg, seed, count, 'canceled', NULL, NULL, NULL, NULL, NULL, 0, NULL,"
        " NULL, NULL, origin, created_at, NULL, created_at FROM generation_tasks, generate_series(1, 1500) AS n"
    )

    assert suggested("a picture, number 149", size=2) == [
        ("a picture, number 1499", HISTORY),
        ("a picture, number 1498", HISTORY),
    ]
    assert suggested("a picture, number 40") == []
