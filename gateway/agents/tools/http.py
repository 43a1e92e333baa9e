"""Tools that are HTTP endpoints of the operator: arguments are posted, the answer is the result.

Request: POST of the arguments as JSON, the configured headers, and who is talking:
`X-Gateway-Project`, `X-Gateway-Bot`, `X-Gateway-Session`, `X-Gateway-Participant` (the last two
where there is one), `Idempotency-Key`. Status 200-299 is a result, whatever its body; anything else
is a failure the model is told of without the body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.agents.tools.context import ToolContext
from gateway.domain.bots import ToolSpec
from gateway.errors import ConfigError, FetchError, ToolError
from gateway.http_client import HttpClient


class HttpTool:
    """Posts to one address. Raises ConfigError when the tool has none."""

    def __init__(self, spec: ToolSpec, client: HttpClient) -> None:
        if not spec.target:
            raise ConfigError(f"tools.{spec.name} has no url")
        self._spec = spec
        self._target = spec.target
        self._client = client

    async def __call__(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """The body of the answer; raises ToolError."""
        spec = self._spec
        try:
            answer = await self._client.request(
                "POST",
                self._target,
                headers={**spec.headers, **_headers(context)},
                body=json.dumps(arguments).encode(),
                timeout_s=spec.timeout_s,
                max_bytes=spec.max_bytes,
                allow_private_network=spec.allow_private_network,
            )
        except FetchError as error:
            raise ToolError(f"The tool failed: {error.message}", code=error.code) from error
        if not 200 <= answer.status <= 299:
            raise ToolError(f"The tool failed with status {answer.status}.", code="tool_status")
        return answer.body.decode(errors="replace")


def _headers(context: ToolContext) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/plain;q=0.9, */*;q=0.1",
        "Idempotency-Key": context.idempotency_key,
        "X-Gateway-Project": context.project_id,
        "X-Gateway-Bot": context.bot,
    }
    if context.session_id is not None:
        headers["X-Gateway-Session"] = context.session_id
    if context.participant_id is not None:
        headers["X-Gateway-Participant"] = context.participant_id
    return headers
