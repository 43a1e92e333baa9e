"""All faults, in the order in which the matrix shows them. A new row is a line here."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.testing.faults.fault import Fault

FAULTS: Sequence[Fault] = ()

HISTORY_OF_KILLS = ("F1", "F31")
"""The rows that a number of kills is meant for."""


def pick_faults(ids: Sequence[str]) -> Sequence[Fault]:
    """The faults with these ids, in the order of the matrix; all without any.

    Raises KeyError with the ids that do not exist.
    """
    known = {fault.id: fault for fault in FAULTS}
    wanted = {identifier.upper() for identifier in ids}
    if unknown := wanted - known.keys():
        raise KeyError(", ".join(sorted(unknown)))
    return [fault for fault in FAULTS if not wanted or fault.id in wanted]
