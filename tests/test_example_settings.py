"""`config.example.toml` against the settings models: every key once, explained, with its default.

Reads the example as a person does: `# text` explains the key below it, `#key = value` is a key that
is left out, and "Left out:" says what happens then. A key may come again, unexplained, where the
demo needs a second model or agent.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.config.channel_settings import COMMON_KEYS
from gateway.config.settings import Settings
from gateway.registry import Registry

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"

TABLE = re.compile(r"#?\[+([\w.]+)\]+$")
KEY = re.compile(r"#?(\w+) = (.*)$")

Setting = tuple[str, str]
"""Table and key: `("bots.agents", "model")`; a name of one's own is a star: `models.*`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line `key = value` of the example, with the comment that stands above it."""

    setting: Setting
    value: str
    comment: str


def nested_models(annotation: object) -> Iterator[tuple[str, type[BaseModel]]]:
    """Settings models inside a field's type, each with what its place adds to the table's name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
    for inner in get_args(annotation):
        step = ".*" if getattr(annotation, "__origin__", None) is dict else ""
        yield from ((step + deeper, model) for deeper, model in nested_models(inner))


def fields_of(model: type[BaseModel], table: str = "") -> Iterator[tuple[Setting, FieldInfo]]:
    """Every setting below `model` with its field; tables are followed, not named."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        below = list(nested_models(field.annotation))
        if not below and (table, name) != ("channels", "own"):
            yield (table, key), field
        for step, inner in below:
            yield from fields_of(inner, f"{table}.{key}{step}".lstrip("."))


def every_field() -> dict[Setting, FieldInfo]:
    """The settings of the gateway, and those of every kind of channel."""
    kinds = Registry()
    fields = dict(fields_of(Settings))
    for kind in kinds.kinds:
        fields.update(fields_of(kinds.settings_model(kind), f"channels {kind}"))
    return fields


def entries() -> list[Entry]:
    """Every `key = value` of the example, switched on or left out, in the order of the file."""
    found: list[Entry] = []
    table, kind, comment = "", "", ""
    for line in EXAMPLE.read_text().splitlines():
        if match := TABLE.match(line):
            table, comment = re.sub(r"^(models|tools)\.\w+", r"\1.*", match[1]), ""
        elif match := KEY.match(line):
            key, value = match.groups()
            kind = json.loads(value) if (table, key) == ("channels", "kind") else kind
            is_of_kind = table == "channels" and key not in COMMON_KEYS
            found.append(Entry((f"channels {kind}" if is_of_kind else table, key), value, comment))
            comment = ""
        else:
            comment = f"{comment} {line[2:]}".strip() if line.startswith("# ") else ""
    return found


def test_every_setting_is_explained_exactly_once() -> None:
    explained = Counter(entry.setting for entry in entries() if entry.comment)

    assert {setting: explained[setting] for setting in every_field()} == dict.fromkeys(
        every_field(), 1
    )


def test_the_example_holds_no_setting_that_is_unknown() -> None:
    assert {entry.setting for entry in entries()} - every_field().keys() == set()


def test_every_explanation_says_what_happens_when_the_setting_is_left_out() -> None:
    silent = [
        entry.setting
        for entry in entries()
        if entry.comment and not re.search(r"Left out: |Required( |\.)", entry.comment)
    ]

    assert silent == []


@pytest.mark.parametrize("entry", [e for e in entries() if e.comment], ids=lambda e: e.setting[1])
def test_the_stated_default_is_the_real_one(entry: Entry) -> None:
    field = every_field()[entry.setting]
    default = field.get_default(call_default_factory=True, validated_data={})

    if field.is_required():
        assert "Required" in entry.comment
    elif (default and isinstance(default, str | int | float)) or default in (False, 0):
        assert re.search(rf"Left out: {re.escape(json.dumps(default))}[.,]", entry.comment)
    else:
        assert "Left out: " in entry.comment or "Required" in entry.comment


def test_the_example_with_everything_switched_on_is_toml_too() -> None:
    switched_on = re.sub(r"^#(\w+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    switched_on = re.sub(r"^#(\[+[\w.]+\]+)$", r"\1", switched_on, flags=re.MULTILINE)

    assert tomllib.loads(switched_on).keys() == Settings.model_fields.keys()
