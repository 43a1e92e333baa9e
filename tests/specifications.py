"""Platform specifications that may lie beside the repository; tests that judge by them skip else."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "shared/contracts/specs"
