"""Inference in processes of their own: several that share a folder, and those that are ended before they are done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from jaxmask import infer, outputs
from jaxmask.inference_record import INFERENCE_NAME
from jaxmask.maskfile import Mask, read_attributes, read_mask, write_mask
from tests.shards import make_shards, product_name
from tests.test_infer import infer_to, small_model

ROOT = Path(__file__).resolve().parents[1]
SCENES = 16
WAIT_S = 120.0
COMMAND = """
import sys
from jaxmask import infer
from preprocess.command import run
from tests.test_infer import small_model
infer.load_models = lambda path, others, checkpoint: (small_model(),)
sys.exit(run("jaxmask.infer", infer.InferConfig, infer.main, sys.argv[1:]))
"""


def command(shards: Path, folder: Path, *flags: str) -> list[str]:
    return [sys.executable, "-c", COMMAND, "model", str(shards), str(folder), *flags]


def environment() -> dict[str, str]:
    return os.environ | {"XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards") / "hdf", SCENES, 64, 72)


def killed_in_the_midst(shards: Path, folder: Path, *, after: int) -> None:
    """End a run by kill -9 while a mask is being written and `after` are there."""
    with subprocess.Popen(command(shards, folder), env=environment(), stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + WAIT_S
        while len(list(folder.glob("*.h5"))) < after or not list(folder.glob(".*.h5.partial-*")):
            assert process.poll() is None, "it was not to end by itself"
            assert time.monotonic() < deadline
        process.kill()
        _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == -signal.SIGKILL, told


def test_sigterm_leaves_whole_files(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes while the second mask is being written, which is finished; those that wait are not begun."""
    folder = tmp_path / "masks"
    told = threading.Event()  # once: a second signal would find the handler of the test's own process back in place

    def write(path: Path, mask: Mask) -> None:
        if len(list(folder.glob("*.h5"))) == 1 and not told.is_set():
            told.set()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)  # for the main thread to hear of it
        write_mask(path, mask)

    monkeypatch.setattr(outputs, "write_mask", write)
    monkeypatch.setattr(infer, "load_models", lambda path, others, checkpoint: (small_model(),))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert infer_to(folder, shards) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "terminated; whatever was finished is whole" in capsys.readouterr().err
    assert 2 <= len(list(folder.glob("*.h5"))) < SCENES  # not exactly 2: a busy machine hears of it later
    assert all(read_mask(path).valid.all() for path in folder.glob("*.h5"))
    assert not [thread for thread in threading.enumerate() if "behind" in thread.name or "ahead" in thread.name]


def test_a_killed_run_leaves_whole_files_and_the_next_one_goes_on(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "masks"
    killed_in_the_midst(shards, folder, after=2)
    there = sorted(folder.glob("*.h5"))
    assert 2 <= len(there) < SCENES
    before = {path: path.stat().st_mtime_ns for path in there}
    assert all(read_mask(path).valid.all() for path in there)

    monkeypatch.setattr(infer, "load_models", lambda path, others, checkpoint: (small_model(),))
    assert infer_to(folder, shards, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["masks"], summary["reused"]) == (SCENES - len(there), len(there))
    masks = [f"{product_name(n)}.h5" for n in range(SCENES)]
    assert sorted(path.name for path in folder.iterdir()) == [*masks, INFERENCE_NAME]
    assert {path: path.stat().st_mtime_ns for path in there} == before
    assert infer_to(tmp_path / "whole", shards, "--quiet") == 0
    for path in folder.glob("*.h5"):
        undisturbed = read_mask(tmp_path / "whole" / path.name).probability
        np.testing.assert_allclose(read_mask(path).probability, undisturbed, rtol=3e-7)  # one device, and eight


def test_two_processes_share_the_scenes_and_a_folder(tmp_path: Path) -> None:
    shards, folder = make_shards(tmp_path / "hdf", 6, 64, 72), tmp_path / "masks"
    for number in (1, 2):  # of the second and the first process, by their places in the sorted list
        (shards / "day" / f"{product_name(number)}.hdf").write_bytes(b"not HDF5")
    folder.mkdir()
    (folder / "failures.json").write_text("[]")
    launched = [sys.executable, "-m", "launch.local", "--processes", "2", "--", *command(shards, folder, "--json")]
    done = subprocess.run(launched, env=environment(), capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["process"], summary["processes"], summary["masks"]) == (0, 2, 2)
    assert '"process": 1' in done.stderr
    written = [f"{product_name(n)}.h5" for n in (0, 3, 4, 5)]
    lists = ["failures.0.json", "failures.1.json", "inference.0.json", "inference.1.json"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*written, *lists])
    assert all(read_attributes(folder / name)["model"] == "digest1" for name in written)
    for process, number in ((0, 2), (1, 1)):
        [failure] = json.loads((folder / f"failures.{process}.json").read_text())
        assert Path(failure["item"]).stem == product_name(number)
