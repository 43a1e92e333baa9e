"""All faults, in the order in which the matrix shows them. A new file in `rows` is a line here."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.testing.faults.fault import Fault
from gateway.testing.faults.rows.clocks import CLOCK
from gateway.testing.faults.rows.crash_points import CRASHES
from gateway.testing.faults.rows.databases import DAMAGED, LOCKED
from gateway.testing.faults.rows.disconnects import DISCONNECTS
from gateway.testing.faults.rows.disks import FULL_DISK, READ_ONLY
from gateway.testing.faults.rows.fairness import FAIRNESS
from gateway.testing.faults.rows.floods import FLOOD, REFUSALS
from gateway.testing.faults.rows.frozen import FROZEN
from gateway.testing.faults.rows.fuzz import FUZZ
from gateway.testing.faults.rows.kills import HISTORY_CHECK, KILLS
from gateway.testing.faults.rows.listeners import IDLE_LISTENERS
from gateway.testing.faults.rows.malformed import MALFORMED
from gateway.testing.faults.rows.model_failures import MODEL_FAILURES
from gateway.testing.faults.rows.oversize import OVERSIZE
from gateway.testing.faults.rows.poison import POISONOUS_TURN
from gateway.testing.faults.rows.pollers import POLLERS
from gateway.testing.faults.rows.redelivery import CHANGED, REDELIVERY
from gateway.testing.faults.rows.resources import RESOURCES
from gateway.testing.faults.rows.slow_clients import SLOW_CLIENTS
from gateway.testing.faults.rows.stalled_readers import STALLED_READERS
from gateway.testing.faults.rows.stalls import STALLS
from gateway.testing.faults.rows.stopping import STOPPING
from gateway.testing.faults.rows.synced import SYNCED

FAULTS: Sequence[Fault] = (
    KILLS,
    CRASHES,
    FROZEN,
    REDELIVERY,
    CHANGED,
    MODEL_FAILURES,
    FLOOD,
    REFUSALS,
    DISCONNECTS,
    POLLERS,
    FULL_DISK,
    READ_ONLY,
    DAMAGED,
    LOCKED,
    SYNCED,
    CLOCK,
    RESOURCES,
    STOPPING,
    STALLS,
    POISONOUS_TURN,
    FAIRNESS,
    IDLE_LISTENERS,
    STALLED_READERS,
    SLOW_CLIENTS,
    OVERSIZE,
    MALFORMED,
    FUZZ,
    HISTORY_CHECK,
)

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
