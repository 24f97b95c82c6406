"""What a search finds, as PostgreSQL itself decides."""

from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import UUID, uuid4

import psycopg2
import pytest

from services.results import words

OWNER = UUID(int=7)
SHELF = words.mark(OWNER, 0)


@pytest.fixture
def finds(postgres) -> Iterator[Callable[..., bool]]:
    """Whether a search for the text finds a picture of the prompt."""
    with closing(psycopg2.connect(postgres("postgres"))) as connection, connection.cursor() as cursor:

        def found(text: str, prompt: str, *, on: str = SHELF) -> bool:
            search = words.Search(text, "", favorite=None)
            picture = words.vector(SHELF, prompt, "sdxl", favorite=False)
            cursor.execute("SELECT %s::tsvector @@ %s::tsquery", (picture, search.query(on)))
            return cursor.fetchone()[0]

        yield found


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("lighthouse", "a lighthouse at dusk"),
        ("LIGHTHOUSE Dusk", "a Lighthouse at dusk"),
        ("dusk lighthouse", "a lighthouse at dusk"),
        ("light", "a lighthouse at dusk"),
        ("4k", "cat,4K"),
        ("dog's", "a dog's life"),
        ("strasse", "Eine STRAẞE im Regen"),
        ("ｃａｆｅ́", "un café à Paris"),
        ("кош", "Кошка на крыше"),
        ("नमस्ते", "नमस्ते दुनिया"),
        (r"back\slash 'quote' & | ! :* <->", r"a back\slash and a 'quote'"),
        ("a" * 100, "a" * 100),
    ],
)
def test_words_are_found_in_any_order_and_case_and_by_their_beginning(finds, text, prompt):
    assert finds(text, prompt)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("house", "a lighthouse at dusk"),
        ("lighthouse dawn", "a lighthouse at dusk"),
        ("li", "a lighthouse at dusk"),
        ("cafe", "un café à Paris"),
        ("sdxl", "a lighthouse at dusk"),
    ],
)
def test_other_words_are_not_found(finds, text, prompt):
    assert not finds(text, prompt)


@pytest.mark.parametrize(
    "text", ["雨", "镇", "后", "雨后", "古镇", "江南古镇", "雨后的江南古镇", "墨画 江南", "水墨画，雨后"]
)
def test_chinese_is_found_by_one_character_by_two_and_by_a_phrase(finds, text):
    assert finds(text, "雨后的江南古镇，水墨画")


@pytest.mark.parametrize("text", ["猫", "江镇", "南江", "江南镇", "古镇水", "古镇水墨"])
def test_characters_that_do_not_stand_side_by_side_are_not_found(finds, text):
    assert not finds(text, "雨后的江南古镇，水墨画")


def test_a_phrase_is_not_found_where_only_its_parts_are(finds):
    assert finds("红色狐", "一只红色狐狸")
    assert not finds("红色狐", "红色的花，金色狐狸")
    assert finds("红色狐狸在雪", "一只红色狐狸在雪里")
    assert not finds("红色狐狸在雪", "红色狐狸，色狐狸在，狐狸在雪")


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("朋克", "赛博朋克cyberpunk城市"),
        ("cyber", "赛博朋克cyberpunk城市"),
        ("城", "赛博朋克cyberpunk城市"),
        ("ガラス", "ｶﾞﾗｽの靴"),
        ("の靴", "ガラスの靴"),
        ("고양이", "검은고양이가"),
        ("แมว", "แมวสีดำ"),
        ("🌊", "a wave 🌊☀️"),
        ("☀️", "a wave 🌊☀️"),
        ("𠮷", "𠮷野家"),
    ],
)
def test_other_scripts_without_spaces_and_symbols_are_found_inside_a_run(finds, text, prompt):
    assert finds(text, prompt)


def test_a_model_and_a_favorite_are_no_words(finds):
    assert not finds("=sdxl", "a lighthouse")
    assert words.Search("- +", "", favorite=None).is_hopeless


def test_a_search_finds_nothing_on_another_shelf(finds):
    for other in (words.mark(OWNER, 1), words.mark(uuid4(), 0)):
        assert not finds("lighthouse", "a lighthouse", on=other)


def test_the_longest_prompts_are_found_from_end_to_end(finds):
    chinese = "".join(chr(0x4E00 + at) for at in range(2000))
    assert finds(chinese[:2], chinese)
    assert finds(chinese[-3:], chinese)
    assert finds("w999", " ".join(f"w{at}" for at in range(1000)))
