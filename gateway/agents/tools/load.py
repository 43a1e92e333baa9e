"""From configured tools to a table that runs them; called once for each configuration."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.agents.tools.context import ToolRunner
from gateway.agents.tools.http import HttpTool
from gateway.agents.tools.python import PythonTool
from gateway.agents.tools.table import ToolTable
from gateway.domain.bots import ToolSpec
from gateway.errors import ConfigError
from gateway.http_client import HttpClient


def load_tools(specs: Iterable[ToolSpec], *, http: HttpClient) -> ToolTable:
    """Find the functions, keep the addresses.

    Raises ConfigError when a function is not there, parameters are no JSON Schema, or the kind of
    a tool is none that can be run.
    """
    return ToolTable((spec, _runner(spec, http)) for spec in specs)


def _runner(spec: ToolSpec, http: HttpClient) -> ToolRunner | None:
    match spec.kind:
        case "client":
            return None
        case "http":
            return HttpTool(spec, http)
        case "python":
            return PythonTool(spec)
        case "mcp":
            raise ConfigError(f"tools.{spec.name}: tools of kind mcp cannot be run yet")
