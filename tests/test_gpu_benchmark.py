"""gpu.py: what it counts by hand, its attempts against the network, its course with workers that only pretend."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from argparse import Namespace
from itertools import islice
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask import unet
from jaxmask.metrics import Sums
from jaxmask.optimiser import keras_adam

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
TINY = ["--features", "2", "--patch", "16", "--batches", "2", "--fed-batches", "2", "--attempt-batch", "2", "--patches",
        "6", "--scene-size", "16", "24", "--matrix", "32", "--copy-megabytes", "1", "--rounds", "1", "--round-seconds",
        "0.001", "--precisions", "bfloat16"]  # fmt: skip

# Answers at once. Prepared work takes 1 s a repetition of 8 items; under a flag of NHWC the process ends, work in
# float32 has no room beside the other framework, and scenes are refused.
PRETENDER = """
import json, os, sys
prepared = {}
for line in sys.stdin:
    request = json.loads(line)
    what, work = request["do"], request.get("work", {})
    answer = {"ok": {}}
    if "conv_nhwc" in os.environ.get("XLA_FLAGS", ""):
        sys.exit("Unknown flag: xla_gpu_force_conv_nhwc")
    if what == "describe":
        answer = {"ok": {"device": "a chip", "version": "1", "versions": {"jax": "2"}, "memory_bytes": os.getpid()}}
    elif what == "prepare":
        fresh = not prepared
        prepared[request["name"]] = work
        answer = {"ok": {"first_call_s": 3.0, "about": {}}}
        if work["kind"] == "scene":
            answer = {"error": "ValueError: no scenes"}
        if work["precision" if "precision" in work else "kind"] == "float32" and not os.path.exists(os.environ["ROOM"]):
            open(os.environ["ROOM"], "w").close()
            answer = {"error": "RESOURCE_EXHAUSTED: out of memory"}
    elif what == "time":
        answer = {"ok": {"items": 8, "seconds": 1.0 if sys.argv[1] == "jax" else 2.0, "repetitions": 1}}
    elif what == "trace":
        answer = {"ok": {"kinds": {"convolutions": 3.0, "pooling": 1.0}, "kernels": {}, "busy_share": 0.5}}
    print(json.dumps(answer), flush=True)
"""


def script(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A script of benchmarks/ as a module; it imports its neighbours as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)


def options(monkeypatch: pytest.MonkeyPatch, *flags: str) -> Namespace:
    """Parsed flags."""
    found: Namespace = script(monkeypatch, "gpu_options").parse(list(flags), None)
    return found


@pytest.mark.quick
def test_operations_are_counted_from_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand for 1 feature and one block of 8 x 8, and the numbers that the literature has for 32 features."""
    plan = script(monkeypatch, "gpu_plan")
    # 3 x 3 taps: at full size 9->1, 1->1, (2+1)->1, 1->1; a quarter of the pixels 1->2, 2->2, 6->2, 2->2; a sixteenth
    # 2->4, 4->4, 12->4, 4->4; a sixty-fourth 4->8, 8->8; and the head's 1 x 1.
    by_hand = 2 * (9 * (64 * 14 + 16 * (2 + 4 + 12 + 4) + 4 * (8 + 16 + 48 + 16) + 32 + 64) + 64)
    assert plan.flops(1, 8) == by_hand
    assert plan.flops(32, 8, 16) == 2 * plan.flops(32, 8)
    assert plan.training_flops(32, 256) == pytest.approx(64.4e9, rel=1e-3)
    kernels = sum(ins * out * taps + out for ins, out, taps, _ in plan.layers(32))
    assert kernels == unet.count_parameters(unet.structure(32)[1]) == 1_948_609
    assert plan.trained_patches() == 465_600  # 30 epochs of floor(0.8 * 971) * 20


def test_every_piece_has_a_name_of_its_own_and_what_matters_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = script(monkeypatch, "gpu_plan")
    pieces = plan.pieces(options(monkeypatch))
    names = [piece.name for piece in pieces]
    assert len(set(names)) == len(names)
    assert names[:5] == [
        "memory",
        *(f"matrix products, {precision}" for precision in plan.PRECISIONS),
        "train, bfloat16, batch 32",
    ]
    tried = {piece.name for piece in pieces if piece.group == "attempts"}
    assert {*plan.VARIANTS, *plan.XLA_FLAGS} < tried
    only = plan.pieces(options(monkeypatch, "--only", "fed"))
    assert [piece.name for piece in only] == [
        f"fed, {cache}, batch {batch}" for cache in ("device", "host") for batch in (32, 128)
    ]


def test_an_attempt_is_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of jaxmask.unet, an odd size at the bottom included (24 rows are 3 there); and so are its gradients."""
    variants = script(monkeypatch, "gpu_variants")
    attempts = (
        variants.Settings(shipped=True),
        variants.Settings(form={"folded": True, "products": True}),
        variants.Settings(folded="blocks"),
        variants.Settings(layout="NCHW", folded="transposed", remat=True),
    )
    graphdef, params = unet.create(2, seed=0)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + rng.normal(0, 0.1, leaf.shape).astype(np.float32), params)
    images = rng.normal(size=(2, 24, 16, 9)).astype(np.float32)

    @jax.jit
    def everyones(params: unet.Params) -> list[jax.Array]:
        logits = [unet.apply(graphdef, params, images)]
        return logits + [variants.network(params, images, settings, jnp.float32) for settings in attempts]

    theirs, *ours = everyones(params)
    for logits in ours:
        # float32, sums in another order
        np.testing.assert_allclose(logits, theirs, atol=1e-5 * float(jnp.abs(theirs).max()))


def test_an_attempts_step_keeps_the_states_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced, not compiled: a step takes training's batches and gives training's sums."""
    variants, work = script(monkeypatch, "gpu_variants"), script(monkeypatch, "gpu_work")
    optimiser, (_, params) = keras_adam(0.001), unet.create(2, seed=0)
    step = variants.step_of(variants.Settings(remat=True), optimiser, jnp.bfloat16, 0.5, clip=3)
    before = params, optimiser.init(params)
    after, sums = jax.eval_shape(step, before, work.random_batch(2, 16))
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(lambda leaf: leaf.shape, before)
    assert {leaf.dtype for leaf in jax.tree.leaves(after[0])} == {jnp.dtype("float32")}
    assert isinstance(sums, Sums)


def test_kernels_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps: 60 us of convolution, 20 of pooling on a stream from 100 to 300 us; what else runs doesn't count."""
    trace = script(monkeypatch, "gpu_trace")
    named = [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "/device:GPU:0"}},
        {"ph": "M", "name": "process_name", "pid": 2, "args": {"name": "/host:CPU"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 7, "args": {"name": "Stream #7(Compute)"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 8, "args": {"name": "XLA Ops"}},
        {"ph": "M", "name": "thread_name", "pid": 2, "tid": 7, "args": {"name": "Stream of thought"}},
    ]
    run = [
        {"ph": "X", "name": "sm90_xmma_fprop_implicit_gemm", "pid": 1, "tid": 7, "ts": 100, "dur": 60},
        {"ph": "X", "name": "select_and_scatter_3", "pid": 1, "tid": 7, "ts": 280, "dur": 20},
        {"ph": "X", "name": "conv", "pid": 1, "tid": 8, "ts": 0, "dur": 1000},
        {"ph": "X", "name": "conv", "pid": 2, "tid": 7, "ts": 0, "dur": 1000},
        {"ph": "M"},
    ]
    found = trace.kernels(named + run, steps=2)
    assert found["kinds"] == {"convolutions and products": 30.0, "pooling": 10.0}
    assert (found["busy_share"], found["us_a_step"]) == (0.4, 100.0)
    assert trace.kernels(named, 2)["busy_share"] is None
    assert [trace.kind_of(name) for name in ("transpose_2", "input_reduce_fusion", "loop_add", "zzz")] == [
        "transposes and copies", "reductions", "element by element", "other"
    ]  # fmt: skip


def test_both_caches_give_the_patches_of_trainings_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 patches, 3 a step: an epoch is two whole steps of different patches; another epoch has another order."""
    fed, work = script(monkeypatch, "gpu_fed"), script(monkeypatch, "gpu_work")
    kept = fed.synthetic_set(130, 8)
    assert {name: array.shape for name, array in kept.items()} == {
        name: (130, *array.shape[1:]) for name, array in work.random_batch(1, 8).items()
    }
    assert len(np.unique(kept["image"].reshape(130, -1), axis=0)) == 130
    first, second, third, fourth = islice(fed.numbers_of_steps(8, 3), 4)
    assert len({*first, *second}) == 6
    assert [*first, *second] != [*third, *fourth]
    batches = list(islice(fed.by_threads(kept, iter([np.array([5, 2]), *[np.array([0, 1])] * 9])), 2))
    for numbers, batch in zip(([5, 2], [0, 1]), batches, strict=True):
        np.testing.assert_array_equal(batch["image"], kept["image"][numbers])
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:1])
    device, host = (fed.batches_of(cache, 8, 8, 3, mesh)[0] for cache in ("device", "host"))
    for _ in range(3):
        jax.tree.map(np.testing.assert_array_equal, next(device), next(host))
    with pytest.raises(ValueError, match="2 patches make no batch of 3"):
        fed.batches_of("device", 2, 8, 3, mesh)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """gpu.py with workers that only pretend; both frameworks are there."""
    gpu, ask = script(monkeypatch, "gpu"), script(monkeypatch, "gpu_ask")
    pretender = tmp_path / "pretender.py"
    pretender.write_text(PRETENDER)
    monkeypatch.setattr(ask, "SCRIPT", pretender)
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("ROOM", str(tmp_path / "room"))
    return gpu


def test_a_course_writes_what_failed_and_goes_on(
    pretended: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "gpu.json"
    flags = ["--batches", "32", "64", "--rounds", "2", "--output", str(output)]
    assert pretended.main(flags) == 0
    printed = capsys.readouterr()
    report = json.loads(output.read_text())
    assert json.loads(printed.out) == report
    pieces = report["pieces"]
    trained = pieces["train, bfloat16, batch 32"]["contenders"]
    assert (trained["jax"]["rate"], trained["torch"]["rate"], trained["jax"]["rounds"]) == (8.0, 4.0, 2)
    ended = pieces["convolutions NHWC"]["contenders"]
    assert ended["as it is"]["rate"] == 8.0
    assert ended["convolutions NHWC"]["error"] == (
        "the process ended with code 1: Unknown flag: xla_gpu_force_conv_nhwc"
    )
    assert pieces["scene, bfloat16"]["contenders"]["jax"]["error"] == "ValueError: no scenes"
    # The first float32 work finds no room beside the other framework's, and is done alone.
    crowded = pieces["matrix products, float32"]["contenders"]
    assert sorted(found.get("alone", False) for found in crowded.values()) == [False, True]
    assert {found["rate"] for found in crowded.values()} == {8.0, 4.0}
    # 8 patches/s of 64.4 GFLOP beside 8 products/s of 2 * 8192**3
    share = 64.45e9 / (2 * 8192**3)
    assert f"| train, bfloat16, batch 32 | 8 | 4 | 2.00 | 0.516 | {share:.0%} |" in printed.err
    assert "| times compiled PyTorch, each at its best | 1.3 | 2.00 |" in printed.err
    assert "| fed, device, batch 32 | 8 | 58200 |" in printed.err
    assert "Kernels are busy 50% of the time." in printed.err
    assert "Not measured: scene, bfloat16 (jax); scene, bfloat16 (torch);" in printed.err


def test_what_is_there_is_not_measured_again_and_time_ends(
    pretended: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "gpu.json"
    flags = ["--output", str(output), "--only", "training", "inference", "--precisions", "bfloat16"]
    assert pretended.main([*flags, "--batches", "32"]) == 0
    before = json.loads(output.read_text())["pieces"]
    assert pretended.main([*flags, "--batches", "32", "64", "--seconds", "0"]) == 0
    after = json.loads(output.read_text())["pieces"]
    assert {name: after[name] for name in before} == before
    assert after["train, bfloat16, batch 64"]["left_out"] == "no time was left: run the same command again"
    assert pretended.main([*flags, "--batches", "32", "64", "--again"]) == 0
    assert "rate" in json.loads(output.read_text())["pieces"]["train, bfloat16, batch 64"]["contenders"]["jax"]
    capsys.readouterr()
    with pytest.raises(SystemExit, match=r"gpu.json holds figures of other sizes: .* choose another --output"):
        pretended.main([*flags, "--patch", "128"])
    with pytest.raises(SystemExit):
        pretended.main(["--batches", "0"])
    assert "--batches: invalid whole value: '0'" in capsys.readouterr().err


def test_a_worker_that_hangs_fails_its_question_alone(pretended: ModuleType, tmp_path: Path) -> None:
    ask = sys.modules["gpu_ask"]
    (tmp_path / "pretender.py").write_text(
        "import sys, time\nfor line in sys.stdin:\n time.sleep(60 if 'long' in line else 0)\n"
        " print('{\"ok\": {}}', flush=True)"
    )
    workers = ask.Workers(os.environ)
    with pytest.raises(ask.Failed, match="no answer within 0 s"):
        workers.ask(("jax", ""), {"do": "long"}, 0.1)
    assert workers.ask(("jax", ""), {"do": "short"}, 60.0) == {}
    workers.end_others(set())


@pytest.mark.quick
def test_no_report_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert script(monkeypatch, "gpu_table").text(None).startswith("**Not measured yet.**")


def test_it_runs_where_grain_netcdf_tyro_and_torch_are_not(tmp_path: Path) -> None:
    """Machines lent for their GPU have few packages; the import hook meets the worker processes too."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nfor name in ('grain', 'netCDF4', 'tyro', 'torch', 'pandas', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
    )
    output = tmp_path / "gpu.json"
    command = [sys.executable, str(FOLDER / "gpu.py"), *TINY, "--only", "chip", "training", "fed", "profile"]
    command += ["--profile", str(tmp_path / "profile"), "--profile-steps", "1", "--output", str(output)]
    command += ["--compile-cache", str(tmp_path / "cache")]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    pieces = report["pieces"]
    assert report["frameworks"]["jax"]["versions"]["jax"] == jax.__version__
    for name in ("memory", "matrix products, bfloat16", "train, bfloat16, batch 2"):
        found = pieces[name]["contenders"]["jax"]
        assert 0 < found["slowest"] <= found["rate"] <= found["fastest"]
    assert pieces["train, bfloat16, batch 2"]["contenders"]["torch"] == {"error": "PyTorch is not there"}
    for cache, by in (("device", "jaxmask.device_cache"), ("host", "threads")):
        found = pieces[f"fed, {cache}, batch 2"]["contenders"]["jax"]
        assert found["rate"] > 0
        assert found["about"]["by"].startswith(by)
    assert list((tmp_path / "profile").rglob("*.trace.json.gz"))
    assert pieces["profile"]["contenders"]["jax"]["kernels"] == {}  # a CPU has no streams of kernels
