"""F29: requests made of the gateway's own descriptions, by the thousand, for everybody with a key.

schemathesis reads each OpenAPI document that is served and makes requests of it, such as fit and
such as do not; what it is given back (ids) it uses in later ones. No answer may be a server error,
have a status, a type, headers or a body that the description does not name, or take what the
description forbids. It runs as a process of its own; the same seed makes the same requests but for
the ids. The keys' own paths come last, with a key to spare: requests there close keys.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from gateway.testing.faults.fault import CannotRun, Fault, Observation, Stage
from gateway.testing.kills.settled import errors_in_log, wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, Caller, serving

DESCRIPTIONS: Final = ("/v1/openapi.json",)
"""Where the surfaces describe themselves."""

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
KEY_PATHS: Final = r"^/v1/keys/\{id\}"
CODES: Final = (0, 1)
"""How schemathesis ends when it ran: without findings, and with some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A run of schemathesis: who calls, how many requests an operation gets, and which phases."""

    name: str
    key: str
    examples: int
    phases: str = "fuzzing"
    paths: tuple[str, ...] = ("--exclude-path-regex", KEY_PATHS)


@dataclass(frozen=True, slots=True)
class Told:
    """What a run reported, as JSON."""

    errand: str
    report: dict[str, Any]

    @property
    def cases(self) -> int:
        """How many requests it made."""
        return int(self.report["test_cases"]["generated"])


def judge_reports(reports: Sequence[Told], *, least: int) -> list[Violation]:
    """Everything the runs found, and runs that saw too little."""
    found = [violation for told in reports for violation in _findings(told)]
    cases = sum(told.cases for told in reports)
    if cases < least:
        found.append(Violation("enough is tried", "fuzz", f"{cases} of {least} requests"))
    return found


def _findings(told: Told) -> list[Violation]:
    report = told.report
    found = []
    if not report["complete"] or report["operations"]["tested"] != report["operations"]["selected"]:
        seen = f"{report['stop_reason']}: {report['operations']}"
        found.append(Violation("every operation is tried", told.errand, seen))
    for failure in report["failures"]:
        seen = f"{failure['count']}x {failure['title']} at {', '.join(failure['operations'])}"
        found.append(Violation("answers are as described", told.errand, seen))
    broken = "the run comes to its end"
    errors = [json.dumps(error)[:300] for error in report["errors"]]
    return [*found, *(Violation(broken, told.errand, error) for error in errors)]


async def _run(stage: Stage) -> Observation:
    if find_spec("schemathesis") is None:
        raise CannotRun("schemathesis is not installed: pip install 'bot-gateway[testing]'")
    async with serving(stage.folder, SCRIPTED + DESK) as (gateway, caller):
        errands = await _errands(stage, gateway, caller)
        reports = [
            await _fuzz(errand, gateway, description, stage)
            for description in DESCRIPTIONS
            for errand in errands
        ]
        found = judge_reports(reports, least=stage.pick(500, 20_000))
        found += errors_in_log(gateway.log)
        found += await wait_until_settled(gateway, patience_s=PATIENCE_S)
        fresh = Caller(caller.client, gateway.url, await gateway.create_key())
        await fresh.say("Still there?")
    cases = sum(told.cases for told in reports)
    return Observation(f"{cases} requests by {len(errands)} callers", found)


async def _errands(stage: Stage, gateway: GatewayProcess, caller: Caller) -> list[Errand]:
    """One of each kind of caller; nobody in particular comes last."""
    examples, admin = stage.pick(1, 60), await gateway.create_key("--role", "admin")
    spare = await gateway.create_key("--role", "admin")
    page = await gateway.create_key("--publishable")
    visit = await Caller(caller.client, gateway.url, page).call("POST", "/v1/widget/sessions")
    return [
        Errand(
            name="admin",
            key=admin,
            examples=stage.pick(3, 300),
            phases="coverage,fuzzing",
        ),
        Errand(name="editor", key=caller.key, examples=examples),
        Errand(name="viewer", key=await gateway.create_key("--role", "viewer"), examples=examples),
        Errand(name="page", key=page, examples=examples),
        Errand(name="visitor", key=visit.expect(201).json["token"], examples=examples),
        Errand(name="nobody", key="", examples=examples),
        Errand(
            name="spare admin",
            key=spare,
            examples=stage.pick(5, 300),
            paths=("--include-path-regex", KEY_PATHS),
        ),
    ]


async def _fuzz(errand: Errand, gateway: GatewayProcess, description: str, stage: Stage) -> Told:
    stage.tell(f"{errand.name}, {description}")
    path = gateway.folder / f"{errand.name}.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", gateway.url + description),
        *("--header", f"Authorization: Bearer {errand.key}", *errand.paths),
        *("--phases", errand.phases, "--max-examples", str(errand.examples)),
        *("--checks", ",".join(CHECKS), "--continue-on-failure", "--no-shrink"),
        *("--seed", str(stage.seed), "--report", "json", "--report-json-path", str(path)),
        *("--output-truncate", "false", "--warnings", "off", "--no-color"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=gateway.folder,
    )
    output, _ = await process.communicate()
    if process.returncode not in CODES:
        raise CannotRun(f"schemathesis ended with {process.returncode}: {output[-500:].decode()}")
    path.with_suffix(".txt").write_bytes(output)
    return Told(errand.name, _read(path))


def _read(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    return report


FUZZ: Final = Fault(
    id="F29",
    name="fuzz",
    promise="no server error, answers as described",
    injected="requests made of each OpenAPI document",
    run=_run,
)
