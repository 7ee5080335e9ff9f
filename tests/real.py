"""The measured product, completed once a test run by the tool in ../shared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def complete_product(tool: Path, factory: pytest.TempPathFactory, *arguments: str) -> Path:
    """The .SEN3 folder that the tool makes with these arguments; test processes share it without locks.

    Each process that finds none makes its own and renames it into place; the first one stays.
    """
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "-".join(("complete", *arguments))
    if not shared.exists():
        own = factory.mktemp("complete")
        subprocess.run([sys.executable, tool, own, *arguments], check=True, capture_output=True)
        try:
            own.rename(shared)
        except OSError:
            if not shared.exists():
                raise
    return next(shared.glob("*.SEN3"))
