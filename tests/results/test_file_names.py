"""What a downloaded picture is called."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.results.file_names import MAX_BYTES, file_name


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a lighthouse at dusk, oil painting", "a lighthouse at dusk, oil painting.png"),
        ("一只猫坐在秋天的花园里", "一只猫坐在秋天的花园里.png"),
        ("word " * 60, f"{' '.join(['word'] * 20)}.png"),
        ("猫" * 60, f"{'猫' * 33}.png"),
        ("e\u0301" * 100, f"{'é' * 50}.png"),
        ("", "picture.png"),
        (" \t\n", "picture.png"),
        ("...", "picture.png"),
    ],
)
def test_a_picture_is_called_by_the_first_words_of_its_prompt(prompt, name):
    assert file_name(prompt, 0, "png") == name


def test_the_pictures_of_one_task_have_numbers():
    assert [file_name("a fox", index, "webp") for index in range(3)] == ["a fox.webp", "a fox 2.webp", "a fox 3.webp"]


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("../../etc/passwd", "etc passwd.png"),
        (r"C:\Windows\x", "C Windows x.png"),
        ("evil\r\nSet-Cookie: a=b", "evil Set-Cookie a=b.png"),
        ("gnp.\u202eexe", "gnp.exe.png"),
        ("zero\u200bwidth\ufeff", "zerowidth.png"),
        ("a\0b\x1b[31m", "ab[31m.png"),
        ("-rf", "rf.png"),
        (".hidden", "hidden.png"),
        ("CON", "CON_.png"),
        ("con.txt", "con_.txt.png"),
        ("LPT¹", "LPT¹_.png"),
        ("constable", "constable.png"),
    ],
)
def test_no_prompt_makes_a_name_that_does_harm(prompt, name):
    assert file_name(prompt, 0, "png") == name


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_every_prompt_has_a_name_that_every_system_takes(prompt):
    name = file_name(prompt, 0, "png")
    stem = name.removesuffix(".png")
    assert 0 < len(stem.encode()) <= MAX_BYTES + 1
    assert not set(stem) & set('<>:"/\\|?*')
    assert all(unicodedata.category(character)[0] != "C" for character in stem)
    assert stem == stem.strip(" .-")
    assert name == unicodedata.normalize("NFC", name)
