"""What computes the network on a CPU, and in which precision: seconds a scene, memory, and how far the masks differ.

    python benchmarks/backends.py [--model MODEL] [--shards FOLDER ...] [--scene 1200x1504 --features 32 --rounds 5]
        [--output FILE]

All backends compute the same random scene by turns, in this process, with all cores; a figure is the median of
`--rounds`, after a round that does not count, whose first call of each (compiling, and taking memory) is told apart.
Memory is the peak of a process of its own that computes two scenes. Differences are those to jax in float32 over the
valid pixels of the shards, with a trained model; without `--model`, of a random scene with random parameters, which
says little, as untrained networks make more of rounding. Decisions are those at 0.5.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import backends_table
import jax
import numpy as np
from measure import Clock, clocked, in_fresh_process, machine, peak_memory_mb, summary, tell

from jaxmask import unet
from jaxmask.kept_memory import keep_memory
from jaxmask.logits import Logits
from jaxmask.mesh import use_cpu_only
from jaxmask.model import Model, load_model
from jaxmask.network import Backend, Precision, open_network
from jaxmask.pixels import CHANNELS, image
from jaxmask.split import Split
from preprocess.shard import read_shard

WAYS: tuple[tuple[Backend, Precision], ...] = (
    ("jax", "float32"),
    ("jax", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
)
REFERENCE = WAYS[0]


def main(argv: list[str] | None = None) -> int:
    """Measure, tell, and return 0."""
    options = parse(argv)
    about = machine()
    prepare()
    model = load_model(options.model) if options.model else random_model(options.features)
    networks = {way: open_network(model, *way).logits for way in WAYS}
    clocks = by_turns(networks, random_scene(options.scene), options.rounds)
    judged = differences(networks, scenes(options))
    del networks
    memory = {way: in_fresh_process(peak_mb, way, options.scene, model.features, one_core=False) for way in WAYS}
    report = about | {
        "versions": about["versions"] | backend_versions(),
        "model": {"digest": model.digest, "features": model.features, "trained": options.model is not None},
        "scene": options.scene,
        "rounds": options.rounds,
        "results": [
            {"backend": way[0], "precision": way[1]}
            | {"first_s": clocks[way][0].wall_s, "peak_mb": memory[way]}
            | summary(clocks[way][1:])
            | judged[way]
            for way in WAYS
        ],
    }
    tell(report, backends_table.text(report).splitlines(), options.output)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a trained model, for the differences; by default random parameters")
    parser.add_argument("--shards", type=Path, nargs="+", default=[], help="shards, or folders of them, of its kind")
    parser.add_argument("--scene", default="1200x1504", help="rows x columns of the timed scene, multiples of 8")
    parser.add_argument("--features", type=int, default=32, help="features of the random network's first level")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--output", type=Path, help="also write the JSON to this file")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error(f"--rounds must be 1 or more; found {options.rounds}")
    if (options.model is None) != (not options.shards):
        parser.error("--model and --shards go together: give both or neither")
    return options


def prepare() -> None:
    """The settings that jaxmask.infer makes on a CPU."""
    keep_memory()
    use_cpu_only()


def random_model(features: int) -> Model:
    """He-normal parameters."""
    graphdef, params = unet.create(features, seed=0)
    whole = jax.tree.map(np.asarray, params)
    return Model(graphdef, whole, features, "native", "none", "mean", 0.5, "random", "random", 256, Split(train=()))


def random_scene(size: str) -> np.ndarray:
    """(1, H, W, 9) float32 of the size "HxW"."""
    height, width = (int(part) for part in size.split("x"))
    return np.random.default_rng(1).normal(size=(1, height, width, CHANNELS)).astype(np.float32)


def by_turns(networks: dict[Any, Logits], scene: np.ndarray, rounds: int) -> dict[Any, list[Clock]]:
    """What each network took in each round, the first of which compiles."""
    clocks: dict[Any, list[Clock]] = {way: [] for way in networks}
    for _ in range(rounds + 1):
        for way, logits in networks.items():
            clocks[way].append(clocked(lambda logits=logits: np.asarray(logits(scene))))
    return clocks


def scenes(options: argparse.Namespace) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Padded images (1, H, W, 9), and which of their pixels count (H, W)."""
    if not options.shards:
        scene = random_scene(options.scene)
        yield scene, np.ones(scene.shape[1:3], bool)
    files = [sorted(each.rglob("*.hdf")) if each.is_dir() else [each] for each in options.shards]
    for path in chain.from_iterable(files):
        shard = read_shard(path)
        rows, columns = shard.valid.shape[:2]
        padding = [(0, -rows % unet.SIZE_MULTIPLE), (0, -columns % unet.SIZE_MULTIPLE)]
        pixels = np.pad(image(shard.refs, shard.bts), [*padding, (0, 0)])
        yield pixels[None], np.pad(shard.valid[..., 0] > 0, padding)


def differences(
    networks: dict[Any, Logits], found: Iterator[tuple[np.ndarray, np.ndarray]]
) -> dict[Any, dict[str, float]]:
    """Of each network to the reference: largest of the logit and of q, and the decisions that differ, with counts."""
    sums = {way: {"logit": 0.0, "q": 0.0, "changed": 0, "pixels": 0, "scenes": 0} for way in networks}
    for scene, counts in found:
        reference = np.asarray(networks[REFERENCE](scene))[0][counts].astype(np.float64)
        for way, logits in networks.items():
            other = np.asarray(logits(scene))[0][counts].astype(np.float64)
            one = sums[way]
            one["logit"] = max(one["logit"], float(np.abs(other - reference).max()))
            one["q"] = max(one["q"], float(np.abs(sigmoid(other) - sigmoid(reference)).max()))
            one["changed"] += int(np.count_nonzero((other > 0) != (reference > 0)))
            one["pixels"] += reference.size
            one["scenes"] += 1
    return sums


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The output q."""
    return np.asarray(1 / (1 + np.exp(-logits)))


def peak_mb(way: tuple[Backend, Precision], size: str, features: int) -> float:
    """The most memory of this process, which computes two scenes; all else of it is imports and parameters."""
    prepare()
    logits = open_network(random_model(features), *way).logits
    scene = random_scene(size)
    for _ in range(2):
        np.asarray(logits(scene))
    return peak_memory_mb()


def backend_versions() -> dict[str, str]:
    """Of what computes."""
    import openvino

    return {"jax": jax.__version__, "openvino": openvino.__version__.partition("-")[0]}


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.exit(main())
