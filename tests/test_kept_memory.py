"""Memory that is kept: whether a later step faults pages in again, counted by the system."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from jaxmask.kept_memory import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()  # before any library starts a thread, which may have memory of its own by then
import jax, jax.numpy as jnp
work = jax.jit(lambda x: jnp.sort(x * 2)[::-1].cumsum().sum())
x = jnp.arange(2.0**22)
faults = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work(x).block_until_ready()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_a_later_step_finds_its_memory_there() -> None:
    """A 16 MB array is 4096 pages of 4 KiB, faulted in at every call unless kept."""
    faults = {}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    for what in ("keep", "give back"):
        command = [sys.executable, "-c", FAULTS, what]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        faults[what] = int(done.stdout)
    assert faults["keep"] < 1000
    assert faults["give back"] > 4000
