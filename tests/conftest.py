"""The policy of the test suite: 8 simulated CPU devices, strict types and ranks, our warnings are errors."""

from __future__ import annotations

import logging
import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("MPLBACKEND", "Agg")

from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import pytest

from preprocess.command import log

if TYPE_CHECKING:
    from playwright.sync_api import Browser

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _needs(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} lies in ../shared, which is not beside this clone")
    return path


@pytest.fixture(autouse=True)
def _a_log_of_its_own() -> None:
    """Each test finds the log as a program does that has not begun, whatever the commands of earlier tests set."""
    log.handlers.clear()
    log.setLevel(logging.NOTSET)
    log.propagate = True


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of the original program's outputs."""
    return _needs(SHARED / "reference")


@pytest.fixture(scope="session")
def real_product() -> Path:
    """The measured product, without its radiance files."""
    return next(_needs(SHARED / "real").glob("*.SEN3"))


@pytest.fixture(scope="session")
def complete_product_tool() -> Path:
    """The script that adds stand-ins for the real product's missing radiance files."""
    return _needs(SHARED / "tools" / "complete_product.py")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless, one for all the tests of a worker."""
    from tests.browsing import chromium

    with chromium() as opened:
        yield opened
