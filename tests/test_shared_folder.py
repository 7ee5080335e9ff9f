"""The model folder must be one for all processes; here they are two by name, as the answers of the other are made up.

Two real ones, each with a folder of its own, were left waiting for each other by their first checkpoint.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from jaxmask import shared_folder
from preprocess.errors import UserError


@pytest.fixture
def met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was in the folder when the two processes met; the other sees nothing of it."""
    seen: list[list[str]] = []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda number: number)
    monkeypatch.setattr(multihost_utils, "process_allgather", lambda own: np.array([int(own), 0], np.int32))
    monkeypatch.setattr(
        shared_folder, "meet", lambda what: seen.append(sorted(path.name for path in tmp_path.iterdir()))
    )
    return seen


def everyones(*told: int) -> Any:
    return lambda own: np.array([int(own), *told], np.int32).reshape(-1, 1)


@pytest.mark.quick
def test_who_does_not_see_the_folder_is_named(tmp_path: Path, met: list[list[str]]) -> None:
    with pytest.raises(UserError, match=r"not the same folder on all hosts: .* process 1 can't see: choose a folder"):
        shared_folder.check_shared(tmp_path)
    ((probe,),) = met
    assert probe.startswith(".seen-by-all-")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_all_see_passes_and_is_left_as_it_was(
    tmp_path: Path, met: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multihost_utils, "process_allgather", everyones(1, 1))
    shared_folder.check_shared(tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(multihost_utils, "process_allgather", everyones(0, 1, 0))
    with pytest.raises(UserError, match="process 1, 3 can't see"):
        shared_folder.check_shared(tmp_path)


def test_another_process_waits_for_what_the_first_has_written(
    tmp_path: Path, met: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def gathered(own: np.int32) -> Any:
        told.append(int(own))
        return np.ones(2)

    monkeypatch.setattr(shared_folder, "is_first", lambda: False)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda number: np.int32(7))
    monkeypatch.setattr(multihost_utils, "process_allgather", gathered)
    shared_folder.check_shared(tmp_path, seen_within_seconds=0.0)
    late = threading.Timer(0.3, (tmp_path / ".seen-by-all-00000007").touch)
    late.start()
    shared_folder.check_shared(tmp_path, seen_within_seconds=60.0)
    late.join()
    assert told == [0, 1]


def test_a_process_alone_has_nothing_to_check(tmp_path: Path) -> None:
    shared_folder.check_shared(tmp_path / "not there")
