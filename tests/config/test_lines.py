"""Where keys stand: the scanner against counted lines, and against tomllib."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.lines import KeyPath, locate

ROOT = Path(__file__).parent.parent.parent


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every path in a parsed document."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*path, index))


def test_keys_of_plain_tables_stand_where_they_are_written() -> None:
    lines = locate('# first\n\n[server]\nlisten = "a"  # "b = 1"\n\n  drain_s=3\n')

    assert lines["server",] == 3
    assert lines["server", "listen"] == 4
    assert lines["server", "drain_s"] == 6


def test_tables_below_an_array_of_tables_belong_to_its_newest_element() -> None:
    text = "[[bots]]\n[[bots.agents]]\nname=1\n[[bots]]\n[[bots.agents]]\n[[bots.agents]]\nname=2\n"

    lines = locate(text)

    assert lines["bots", 0, "agents", 0, "name"] == 3
    assert lines["bots", 1] == 4
    assert lines["bots", 1, "agents", 1, "name"] == 7


def test_elements_of_arrays_and_inline_tables_have_lines_of_their_own() -> None:
    lines = locate('a = [\n  1, # one\n  { b = [2], c.d = "]" },\n]\n"q.r".s = 1\n')

    assert lines["a", 0] == 2
    assert lines["a", 1, "b", 0] == 3
    assert lines["a", 1, "c", "d"] == 3
    assert lines["q.r", "s"] == 5


@pytest.mark.parametrize(
    "value",
    [
        '"""\n[no]\nx = 1\n"""',
        "'''\n[no]\n'' '''",
        '"""a""\\"""""',
        '"\\"["',
        "'\\'",
        '"""\\\n  folded"""',
        "1979-05-27T07:32:00Z",
        "[[1, 2], [\n3]]",
        "{ }",
        "[]",
        "-inf",
    ],
)
def test_the_key_behind_any_kind_of_value_is_found(value: str) -> None:
    text = f"first = {value}\nsecond = 2 # end"

    lines = locate(text)

    assert lines["second",] == text.count("\n") + 1
    assert set(lines) == set(paths(tomllib.loads(text)))


def test_windows_line_ends_count_once() -> None:
    assert locate("[a]\r\nb = 1\r\nc = 2\r\n")["a", "c"] == 3


def test_every_place_of_the_example_is_found() -> None:
    text = (ROOT / "config.example.toml").read_text()

    assert set(locate(text)) == set(paths(tomllib.loads(text)))


KEYS = st.sampled_from(["a", "b-1", '"q d"', "'l.t'", "c_2"])
SCALARS = st.sampled_from(["1", "0x1F", "1e3", "true", '"s"', "'l'", '"""m\n"q" """', "'''\n'''"])
BLANKS = st.sampled_from(["", " ", "\n", " # ],}\n"])


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    """An array with line breaks and comments between its elements."""
    elements = draw(st.lists(inner, max_size=3))
    parts = [draw(BLANKS) + element + draw(BLANKS) for element in elements]
    return "[" + ",".join(parts) + draw(BLANKS) + "]"


@st.composite
def inline_tables(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    """An inline table: no line breaks in TOML 1.0 but those inside its values."""
    keys = draw(st.lists(KEYS, max_size=3, unique=True))
    return "{ " + ", ".join(f"{key} = {draw(inner)}" for key in keys) + " }"


VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(arrays(inner), inline_tables(inner)), max_leaves=8
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A valid document: keys, then tables and arrays of tables."""
    parts = []
    for index in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from([f"t{index}", "arr", f'"x y".t{index}', f"arr.sub{index}"]))
        opening = f"[[{name}]]" if name == "arr" else f"[ {name} ]"
        keys = draw(st.lists(KEYS, max_size=3, unique=True))
        parts += [opening, *(f"{key} = {draw(VALUES)}" for key in keys)]
    return "\n".join(parts)


@given(documents())
def test_no_place_is_missed_or_invented_in_any_document(text: str) -> None:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # [arr.sub] before [[arr]]: not TOML, and nobody asks for its lines

    assert set(locate(text)) == set(paths(tree))
