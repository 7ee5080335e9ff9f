"""The campaign of faults in benchmarks/, for tests to run at a small size."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import fault_bench
import fault_inputs
import fault_trials
import faults as campaign

__all__ = ["campaign", "check", "fault_bench", "fault_inputs", "fault_trials"]


def check(findings: Iterable[fault_bench.Finding], trials: int) -> None:
    """Fail with what was violated, or where there were fewer trials than there should be."""
    done = list(findings)
    violated = [f"{found.kind}: {found.what}: {found.violations}" for found in done if found.violations]
    assert not violated, "\n".join(violated)
    assert len(done) == trials
