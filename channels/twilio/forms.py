"""Forms as Twilio posts them. Pure.

Keeps blank values and spaces as they are, since both are part of the signature, and the values of a
name that comes more than once.
"""

from collections.abc import Iterator, Mapping
from typing import Self
from urllib.parse import parse_qsl

MAX_FIELDS = 1000


class Form(Mapping[str, str]):
    """The fields of a form: `form["Body"]` is the first value, `getall` gives every one."""

    def __init__(self, fields: Mapping[str, str | tuple[str, ...]]) -> None:
        self._fields = {
            name: (value,) if isinstance(value, str) else value for name, value in fields.items()
        }

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The form of a body; ValueError when it is none."""
        fields: dict[str, tuple[str, ...]] = {}
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        for name, value in pairs:
            fields[name] = (*fields.get(name, ()), value)
        return cls(fields)

    def getall(self, name: str) -> tuple[str, ...]:
        """All values of a name, in the order they came."""
        return self._fields[name]

    def text(self, name: str) -> str:
        """The first value, "" when the field is missing."""
        return self._fields.get(name, ("",))[0]

    def __getitem__(self, name: str) -> str:
        return self._fields[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
