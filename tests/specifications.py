"""Platform specifications that may lie beside the repository; tests skip where they do not."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "shared/contracts/specs"
