"""The console command: `bot-gateway` and `python -m gateway` are the same."""

from __future__ import annotations

import sys

# structlog imports rich wherever it is installed, which costs a daemon 45 ms and 3 MiB for
# nothing: hidden for a moment, structlog does without; commands import it when they print.
sys.modules["rich"] = None  # type: ignore[assignment] # None = "there is none" (importlib)
import structlog  # noqa: E402, F401 - see above

del sys.modules["rich"]

from gateway.cli.app import run  # noqa: E402 - see above


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
