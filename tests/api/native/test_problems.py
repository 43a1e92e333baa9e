"""Problems: every code a caller may be told has its line in the description."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway
from gateway import errors
from gateway.api.http import errors as http_errors
from gateway.api.native.problems import TITLES
from gateway.errors import RequestError

PACKAGE = Path(gateway.__file__).parent


def request_errors() -> dict[str, type[RequestError]]:
    """The errors a caller is answered with, by the name of their class."""
    members = {**vars(errors), **vars(http_errors)}
    return {
        name: member
        for name, member in members.items()
        if inspect.isclass(member) and issubclass(member, RequestError)
    }


def codes_told() -> Iterator[str]:
    """Every code that stands in a call that makes such an error, and the limits of a turn."""
    makers = {*request_errors(), "LimitReached"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in makers:
                values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                yield from (str(v.value) for v in values if isinstance(v, ast.Constant))


@pytest.mark.parametrize("code", sorted(set(codes_told())))
def test_a_code_that_is_told_has_a_title(code: str) -> None:
    assert code in TITLES


@pytest.mark.parametrize("name", sorted(request_errors()))
def test_the_code_of_an_error_without_one_of_its_own_has_a_title(name: str) -> None:
    assert request_errors()[name].default_code in TITLES
