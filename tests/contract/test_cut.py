"""Where long texts are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.cut import index_at, joined, pieces, unit_offsets, units


def cut(text: str, limit: int, **stretches) -> list[str]:
    return [text[start:end] for start, end in pieces(text, limit, **stretches)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("short", ["short"]),
        ("one two.\nthree\n\nfour five", ["one two.\nthree", "four five"]),
        ("one two three\nfour five six", ["one two three", "four five six"]),
        ("One two three. Four five six", ["One two three.", "Four five six"]),
        ("one two three four five six", ["one two three four", "five six"]),
        ("abcdefghijklmnopqrstuvwxyz", ["abcdefghijklmnopqrst", "uvwxyz"]),
        (
            "一二三四五六七八九十。十一十二十三十四十五十六",
            ["一二三四五六七八九十。", "十一十二十三十四十五十六"],
        ),
        ("  \n  leading and more words", ["  leading and more", "words"]),
        ("trailing and some      \n\n   ", ["trailing and some"]),
    ],
    ids=["fits", "paragraph", "line", "sentence", "word", "letters", "chinese", "front", "end"],
)
def test_the_best_place_is_taken(text, found):
    assert cut(text, 20) == found


def test_a_good_place_at_the_very_beginning_is_not_worth_a_tiny_piece():
    assert cut("Title\n\none two three four five six", 20) == [
        "Title\n\none two three",
        "four five six",
    ]


def test_a_place_at_the_beginning_is_better_than_cutting_a_word():
    assert cut("Title\n\nabcdefghijklmnopqrstuvwxyz", 20) == [
        "Title",
        "abcdefghijklmnopqrst",
        "uvwxyz",
    ]


def test_code_keeps_its_indentation_over_a_cut():
    assert cut("if a:\n    first()\n    second()", 20) == ["if a:\n    first()", "    second()"]


def test_a_block_is_cut_only_where_the_text_around_offers_nothing():
    text = "before the block\ncode one\ncode two"

    assert cut(text, 28, blocks=[(17, len(text))]) == ["before the block", "code one\ncode two"]


def test_a_block_longer_than_the_limit_is_cut_between_its_lines():
    text = "code one\ncode two\ncode three"

    assert cut(text, 20, blocks=[(0, len(text))]) == ["code one\ncode two", "code three"]


def test_an_atom_is_not_cut():
    text = "some words linked words here"

    assert cut(text, 20, atoms=[(11, 28)]) == ["some words", "linked words here"]


def test_an_atom_without_spaces_is_not_cut():
    assert cut("aaaaaaaaaaaabbbbbbbbbbbb", 20, atoms=[(12, 24)]) == ["a" * 12, "b" * 12]


def test_an_atom_longer_than_the_limit_is_cut_all_the_same():
    text = "linked words that go on and on"

    assert cut(text, 20, atoms=[(0, len(text))]) == ["linked words that go", "on and on"]


@pytest.mark.parametrize(
    "cluster",
    ["👩‍👩‍👧‍👦", "🇳🇴", "👍🏽", "e\u0301\u0302", "❤\ufe0f", "각", "한"],
    ids=["family", "flag", "skin tone", "accents", "variation", "syllable", "precomposed"],
)
def test_what_a_reader_sees_as_one_character_is_not_cut(cluster):
    text = "x" + cluster * 10

    for piece in cut(text, max(units(cluster) + 1, 5)):
        assert piece.removeprefix("x").replace(cluster, "") == ""


def test_a_character_longer_than_the_limit_is_cut_all_the_same():
    text = "a" + "\u0301" * 50

    assert "".join(cut(text, 20)) == text


def test_a_line_end_of_two_characters_is_one():
    assert joined("a\r\nb", 2)
    assert not joined("a\r\nb", 1)


@settings(deadline=None)
@given(st.text(), st.integers(2, 30))
def test_no_piece_is_over_the_limit_and_only_white_space_is_lost(text, limit):
    found = cut(text, limit)

    assert all(0 < units(piece) <= limit for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@settings(deadline=None)
@given(st.text(), st.data())
def test_offsets_and_indexes_agree(text, data):
    index = data.draw(st.integers(0, len(text)))

    offsets = unit_offsets(text)

    assert offsets[index] == units(text[:index])
    assert index_at(offsets, offsets[index]) == index
