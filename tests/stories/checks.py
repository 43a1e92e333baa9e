"""What stories look at afterwards."""

import json
from typing import Any

from gateway.testing.process import GatewayProcess


async def findings(gateway: GatewayProcess) -> Any:
    """What `verify` finds."""
    code, output, errors = await gateway.run("verify", "--json")
    assert code in (0, 1), errors
    return json.loads(output)["findings"]
