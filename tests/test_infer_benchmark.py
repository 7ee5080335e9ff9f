"""The benchmark of inference at tiny sizes: what is run, what is reported, and that its peer is the original's way."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmask.channels import normalise
from jaxmask.infer_config import InferConfig
from jaxmask.predictor import open_predictor
from jaxmask.tiles import cut, stitch, tiling
from preprocess.compose import make_scene
from preprocess.product import read_product
from preprocess.simulation.product import write_folder
from tests.simulated import random_scene, small_plan
from tests.test_infer import small_model

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
SCENES = 4


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(random_scene(small_plan(rows=32, columns=40)), tmp_path_factory.mktemp("product"))


def test_all_is_timed_and_compared(
    script: Callable[[str], Any],
    product: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two variants and the original's way stand in with known seconds; ratios by hand."""
    infer = script("infer")
    asked: list[dict[str, Any]] = []

    @contextmanager
    def process(command: list[str]) -> Iterator[tuple[Callable[[str], Any], dict[str, Any]]]:
        if "infer_worker" not in command[1]:  # all 8 s and inputs 4 s, predicting 2 s
            seconds = {"all": 8.0, "inputs": 4.0}
            about = {"reader": "x"} if command[2] == "read" else {"versions": {"tensorflow": "0"}}
            yield lambda line: dict.fromkeys(("wall_s", "cpu_s"), seconds.get(line.split()[0], 2.0)), about
            return

        def ask(line: str) -> dict[str, Any]:
            asked.append(json.loads(line))
            if asked[-1]["do"] == "compute":
                return {"wall_s": 1.0, "cpu_s": 2.0}
            found = len(list(Path(asked[-1]["scenes"]).rglob("S3A*" if "hdf" not in line else "*.hdf")))
            assert found >= SCENES
            Path(asked[-1]["masks"]).mkdir()
            return {"wall_s": 1.25, "cpu_s": 2.5, "waited_s": {"readers": 0.5, "devices": 0.6, "writers": 0.1}}

        yield ask, {"devices": "1 x cpu", "batch": 1, "convention": "native"}

    monkeypatch.setattr(infer, "process", process)
    output = tmp_path / "inference.json"
    argv = [str(product), "model.h5", "--variants", "jax/float32", "openvino/bfloat16", "--scenes", str(SCENES)]
    argv += ["--rounds", "1", "--peer-python", "python", "--scratch", str(tmp_path), "--output", str(output)]
    assert infer.main(argv) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert json.loads(output.read_text()) == report
    assert list(report["results"]) == ["jax/float32", "openvino/bfloat16"]
    rows = report["results"]["jax/float32"]
    assert list(rows) == ["network alone", "shards", "folders", "zips"]
    assert rows["shards"]["of_the_device"] == 0.8
    assert (rows["zips"]["limit"], rows["zips"]["times_original"]) == ("devices", 8.0)
    assert (rows["zips"]["times_tightened"], rows["zips"]["times_original_by_cpu_time"]) == (4.8, 4.0)
    assert "times_original" not in rows["shards"]
    assert "| jax float32 | zips | 1.250 | 2.500 | 80% | 8.0 | 4.8 | 4.0 | 0.50, 0.60, 0.10 |" in told.err
    assert "10.0 s, 8.0 of it reading (x; tightened 4.0) and 2.0 predicting (tensorflow 0)" in told.err
    assert len(asked) == 2 * 2 * 4, "two rounds, of which one counts, of two variants"
    assert not [path for path in tmp_path.iterdir() if path != output]


def test_a_process_predicts_as_the_command_does(script: Callable[[str], Any], product: Path, tmp_path: Path) -> None:
    worker, measure = script("infer_worker"), script("measure")
    for number in range(8):
        measure.copy_product(product, tmp_path / "folders", number)
    config = InferConfig(Path("model"), tmp_path / "folders", tmp_path / "masks", quiet=True, workers=0)
    models = (small_model(),)
    predictor = open_predictor(config, models)
    found = worker.run_stream(config, models, predictor)
    assert set(found) == {"wall_s", "cpu_s", "waited_s"}
    assert len(list((tmp_path / "masks").glob("*.h5"))) == 8
    alone = worker.compute(models, predictor, next((tmp_path / "folders").iterdir()), 16)
    assert alone["cpu_s"] > 0
    assert worker.middle(16, 1) == (3, 11)
    assert worker.middle(16, 2) == (3, 11)
    assert worker.middle(17, 4) == (3, 11)


def test_the_peer_reads_and_tiles_as_the_original(script: Callable[[str], Any], product: Path) -> None:
    peer = script("infer_peer")
    image = np.random.default_rng(0).normal(size=(1200, 1500, 1)).astype(np.float32)
    plan = tiling(1200, 1500)
    np.testing.assert_array_equal(peer.tiles(image), cut(image, plan))
    np.testing.assert_array_equal(peer.stitched(cut(image, plan)), stitch(cut(image, plan), plan))
    scene = make_scene(read_product(product), convention="reference")
    read, _ = peer.reader()
    # float32 of reflectances and temperatures, as in test_preprocess_benchmarks.py
    np.testing.assert_allclose(read(f"inputs {product}"), normalise(scene.refs, scene.bts), atol=1e-5)
