"""Query strings as models; what is not described is refused."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.api.http.bodies import field_errors
from gateway.errors import BadRequest, Unprocessable

Query = TypeVar("Query", bound=BaseModel)


def check_no_query(request: web.Request) -> None:
    """Raise BadRequest when there is any parameter."""
    if request.query_string:
        name = next(iter(request.query), "")
        raise BadRequest(f"Unknown parameter: {name[:40]!r}.", code="unknown_parameter")


def read_query(request: web.Request, model: type[Query]) -> Query:
    """The parameters as a model.

    Raises BadRequest (`unknown_parameter`, also for one given twice) and Unprocessable.
    """
    if not request.query_string:
        return _validate(model, {})
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in model.model_fields or name in values:
            problem = "given twice" if name in values else "unknown"
            sentence = f"Parameter {name[:40]!r} is {problem}."
            raise BadRequest(sentence, code="unknown_parameter")
        if "\0" in value:
            raise BadRequest(f"Parameter {name!r} holds a NUL character.", code="invalid_parameter")
        values[name] = value
    return _validate(model, values)


def _validate(model: type[Query], values: dict[str, str]) -> Query:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fields = field_errors(error, values, prefix="?")
        raise Unprocessable("A parameter is not valid.", fields=fields) from None
