"""Time inference: the network alone, from shards, from raw products, and beside the original's way; JSON on stdout.

    python benchmarks/infer.py PRODUCT.SEN3 MODEL.h5 [--peer-python OTHER/bin/python] [--scenes 16] [--rounds 3]
        [--variants jax/float32 openvino/float32 openvino/bfloat16] [--batch-size 1] [--output FILE]

PRODUCT is what ../shared/tools/complete_product.py OUT --seed 0 --labels cloud makes, MODEL the original's (Keras) or
a model folder. The product is copied --scenes times, sensed three minutes later each: as folders, as zips, and as
shards. Each variant has a process of its own (infer_worker.py) in which all is compiled and warm; in every round each
does all its work in turn: scenes in memory, shards, folders, zips. Seconds are a scene's, by the wall clock, over the
middle half of the scenes; "of the device" is the rate from there as a share of the network's own rate.

The original's way (infer_peer.py) reads as peer.py does, in this interpreter, and predicts 63 tiles by Keras in that of
--peer-python, which needs TensorFlow: the two add up. "tightened" is the same, reading no more than the network needs.
Files are warm in the system's cache. Ratios are medians of the
rounds' ratios; "by CPU time" compares processor seconds, which other programs hardly disturb.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import infer_table
import measure

FOLDER = Path(__file__).resolve().parent
WORKER, PEER = FOLDER / "infer_worker.py", FOLDER / "infer_peer.py"
VARIANTS = ("jax/float32", "openvino/float32", "openvino/bfloat16")
SOURCES = ("shards", "folders", "zips")
ALONE, ORIGINAL = "network alone", "the original's way"
Times = dict[str, Any]  # wall_s, cpu_s and, of a stream, waited_s, a scene


def main(argv: list[str] | None = None) -> int:
    """Measure, tell, and return 0."""
    options = parse(argv)
    machine = measure.machine()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch, ExitStack() as running:
        workers, about = {}, {}
        for variant in options.variants:
            ask, about[variant] = running.enter_context(process(worker_command(variant, options)))
            workers[variant] = ask
        sources = copies(options, Path(scratch), about[options.variants[0]]["convention"])
        peer, peer_about = running.enter_context(original(options, Path(scratch)))
        rounds = [one_round(workers, peer, sources, options, Path(scratch)) for _ in range(options.rounds + 1)][1:]
    report = {
        **machine,
        "devices": {variant: found["devices"] for variant, found in about.items()},
        "batch": {variant: found["batch"] for variant, found in about.items()},
        "peer": peer_about,
        "scenes": options.scenes,
        "rounds": options.rounds,
        "results": {variant: summary(variant, rounds) for variant in workers},
        ORIGINAL: medians([each[ORIGINAL] for each in rounds]) if peer else None,
    }
    measure.tell(report, infer_table.text(report).splitlines(), options.output)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("product", type=Path, help=".SEN3 folder")
    parser.add_argument("model", type=Path, help="model.h5 of the original, or a model folder")
    parser.add_argument("--variants", nargs="+", default=VARIANTS, help="backend/precision")
    parser.add_argument("--batch-size", type=int, default=1, help="scenes that a device computes at once")
    parser.add_argument("--scenes", type=int, default=16, help="copies of the product; four batches or more")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count, after one that does not")
    parser.add_argument("--sources", nargs="*", default=SOURCES, choices=SOURCES, help="what is read")
    parser.add_argument("--peer-python", help="interpreter that has TensorFlow; without it the peer is left out")
    parser.add_argument("--scratch", type=Path, help="folder to write in (default: the system's for temporary files)")
    parser.add_argument("--output", type=Path, help="also write the JSON to this file")
    options = parser.parse_args(argv)
    if options.scenes < 4 * options.batch_size or options.rounds < 1:
        parser.error("--scenes must be four batches or more, --rounds 1 or more")
    return options


def worker_command(variant: str, options: argparse.Namespace) -> list[str]:
    """What starts the process of a variant."""
    backend, _, precision = variant.partition("/")
    flags = {"backend": backend, "precision": precision, "batch-size": options.batch_size}
    words = [f"--{name}={value}" for name, value in flags.items()]
    return [sys.executable, str(WORKER), str(options.model), *words]


@contextmanager
def process(command: list[str]) -> Iterator[tuple[Callable[[str], Times], dict[str, Any]]]:
    """A function that asks a running process and waits for its answer, and what its first line was."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield partial(_ask, running), _answer(running)
        finally:
            if running.stdin:
                running.stdin.close()


def _ask(running: subprocess.Popen[str], request: str) -> Times:
    print(request, file=running.stdin, flush=True)
    return _answer(running)


def _answer(running: subprocess.Popen[str]) -> Times:
    line = running.stdout.readline() if running.stdout else ""
    if not line:
        raise RuntimeError(f"{running.args} ended with {running.wait()}: its error is above")
    found: Times = json.loads(line)
    return found


def copies(options: argparse.Namespace, scratch: Path, convention: str) -> dict[str, Path]:
    """A folder of each kind of input, of as many products as there are scenes."""
    folders = {source: scratch / source for source in SOURCES}
    for number in range(options.scenes):
        copy = measure.copy_product(options.product, folders["folders"], number)
        if "zips" in options.sources:
            shutil.make_archive(str(folders["zips"] / copy.stem), "zip", copy.parent, copy.name)
    convert = ["-m", "preprocess.convert", str(folders["folders"]), str(folders["shards"])]
    flags = ["--convention", convention, "--quiet"]
    subprocess.run([sys.executable, *convert, *flags], check=True, cwd=FOLDER.parent, stderr=subprocess.DEVNULL)
    return folders


@contextmanager
def original(options: argparse.Namespace, scratch: Path) -> Iterator[tuple[Callable[[], Times] | None, dict[str, Any]]]:
    """A function that does one product in the original's way, and what does it; None, and why, where nothing can."""
    if options.peer_python is None:
        yield None, {"skipped": "no --peer-python was given"}
        return
    predicting = [options.peer_python, str(PEER), "predict", str(options.model.resolve())]
    with process([sys.executable, str(PEER), "read"]) as (read, one), process(predicting) as (predict, other):

        def both() -> Times:
            everything, enough = (read(f"{what} {options.product.resolve()}") for what in ("all", "inputs"))
            predicted = predict(str(scratch / "peer.h5"))
            parts = {"read_s": everything["wall_s"], "inputs_s": enough["wall_s"], "predict_s": predicted["wall_s"]}
            tightened = {"tightened_s": enough["wall_s"] + predicted["wall_s"]}
            return {name: everything[name] + predicted[name] for name in predicted} | tightened | parts

        yield both, one | other


def one_round(
    workers: dict[str, Callable[[str], Times]],
    peer: Callable[[], Times] | None,
    sources: dict[str, Path],
    options: argparse.Namespace,
    scratch: Path,
) -> dict[str, Any]:
    """Seconds a scene of everything, once: {variant: {what: times}}, and the original's way."""
    shard = str(min(sources["shards"].rglob("*.hdf")))
    found: dict[str, Any] = {}
    for variant, ask in workers.items():
        found[variant] = {ALONE: ask(json.dumps({"do": "compute", "scene": shard, "count": options.scenes // 2}))}
        for source in options.sources:
            masks = scratch / "masks"
            request = {"do": "stream", "scenes": str(sources[source]), "masks": str(masks)}
            found[variant][source] = ask(json.dumps(request))
            shutil.rmtree(masks)
    return found | ({ORIGINAL: peer()} if peer else {})


def summary(variant: str, rounds: list[dict[str, Any]]) -> dict[str, Times]:
    """{what: medians}; of a stream also its share of the network's own rate, its limit, the original's ratio."""
    rows = {}
    for what in rounds[0][variant]:
        row = rows[what] = medians([each[variant][what] for each in rounds])
        if what != ALONE:
            row["of_the_device"] = _ratio(rounds, (variant, ALONE), (variant, what))
            row["limit"] = max(row["waited_s"], key=row["waited_s"].get)
        if what in ("folders", "zips") and ORIGINAL in rounds[0]:
            ours = variant, what
            row["times_original"] = _ratio(rounds, (ORIGINAL,), ours)
            row["times_tightened"] = _ratio(rounds, (ORIGINAL,), ours, "tightened_s")
            row["times_original_by_cpu_time"] = _ratio(rounds, (ORIGINAL,), ours, "cpu_s", "cpu_s")
    return rows


def medians(found: list[Times]) -> Times:
    """The median of each number, those within a dictionary too."""
    return {
        name: medians([each[name] for each in found])
        if isinstance(value, dict)
        else statistics.median(each[name] for each in found)
        for name, value in found[0].items()
    }


def _ratio(
    rounds: list[dict[str, Any]],
    one: tuple[str, ...],
    other: tuple[str, ...],
    of_one: str = "wall_s",
    of_other: str = "wall_s",
) -> float:
    """The median over the rounds of one's seconds over the other's."""

    def seconds(found: Any, keys: tuple[str, ...]) -> float:
        for key in keys:
            found = found[key]
        return float(found)

    return statistics.median(seconds(each, (*one, of_one)) / seconds(each, (*other, of_other)) for each in rounds)


if __name__ == "__main__":
    sys.exit(main())
