"""The original's way from a raw product to a mask, in two processes whose times add up, as it does one after the other.

    python benchmarks/infer_peer.py read
    python benchmarks/infer_peer.py predict model.h5 [--features 32 --batch 32]

"read" makes the normalised image as peer.py reads a product (xarray, SciPy, scikit-image): "all" that the original's
loader makes, radiances, label and summary flag too, which take as long in its inference as in its conversion, or, what
would be enough, the network's "inputs". "predict" (TensorFlow, and nothing of jaxmask, so that any interpreter can run
it) cuts an image of 1200 x 1500 into 63 tiles of 256 x 256 at
stride 176, has Keras predict them with the weights of the original's model, lays their middles side by side and writes
the mask as float64. Each answers on stdout, a line of JSON each, to lines of stdin: "all FOLDER" or "inputs FOLDER" of
a product, or a file to write. Its first line says what it is; the others hold {"wall_s", "cpu_s"}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

HEIGHT, WIDTH, CHANNELS = 1200, 1500, 9
PATCH, STRIDE, MARGIN = 256, 176, 40  # pixels; what is cut from every side of a predicted tile


def main(argv: list[str] | None = None) -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("read", "predict"))
    parser.add_argument("model", nargs="?", help="model.h5 of the original")
    parser.add_argument("--features", type=int, default=32, help="of its first level")
    parser.add_argument("--batch", type=int, default=32, help="tiles at once: Keras' own default")
    options = parser.parse_args(argv)
    work, about = reader() if options.stage == "read" else predictor(options)
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        work(line.strip())
        found = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        print(json.dumps(found), flush=True)
    return 0


def reader() -> tuple[Callable[[str], Any], dict[str, Any]]:
    """A function that reads a product, by "all PATH" or "inputs PATH", to an image (1200, 1500, 9) float32."""
    import peer

    def read(line: str) -> np.ndarray:
        what, _, folder = line.partition(" ")
        product = Path(folder)
        radiances = [peer.open_variable(product, f"S{n}_radiance_an.nc", f"S{n}_radiance_an") for n in peer.SOLAR]
        reflectances = (peer.reflectance(product, n, each) for n, each in zip(peer.SOLAR, radiances, strict=True))
        bts = peer.resize_stack([peer.open_variable(product, f"S{n}_BT_in.nc", f"S{n}_BT_in") for n in peer.THERMAL])
        if what == "all":
            peer.resize_stack(radiances)
            peer.resize_flag(peer.open_variable(product, "flags_in.nc", "bayes_in").values > 0)
            peer.resize_flag(peer.confidence_flag(product, peer.SUMMARY_CLOUD))
        refs = peer.resize_stack(reflectances)
        return np.concatenate([refs - 0.5, (bts - 270) / 22], axis=-1).astype(np.float32)

    return read, {"reader": "xarray, SciPy, scikit-image"}


def predictor(options: argparse.Namespace) -> tuple[Callable[[str], Any], dict[str, Any]]:
    """A function that predicts an image and writes its mask to a file."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import keras
    import keras_peer
    import tensorflow as tf

    model = keras_peer.unet(options.features)
    model.load_weights(options.model)
    image = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH, CHANNELS)).astype(np.float32)

    def predict(path: str) -> None:
        mask = stitched(model.predict(tiles(image), batch_size=options.batch, verbose=0))
        with h5py.File(path, "w") as file:
            file["mask"] = mask[None].astype(np.float64)

    model.predict(tiles(image), batch_size=options.batch, verbose=0)
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "python": sys.version.split()[0]}
    return predict, {"versions": versions}


def tiles(image: np.ndarray) -> np.ndarray:
    """(63, 256, 256, 9), of the image with zeros around it."""
    rows, columns = (-(-length // STRIDE) for length in image.shape[:2])
    missing = [
        (count - 1) * STRIDE + PATCH - length for count, length in zip((rows, columns), image.shape, strict=False)
    ]
    padded = np.pad(image, [(each // 2, each - each // 2) for each in missing] + [(0, 0)])
    origins = [(row * STRIDE, column * STRIDE) for row in range(rows) for column in range(columns)]
    return np.stack([padded[top : top + PATCH, left : left + PATCH] for top, left in origins])


def stitched(predicted: np.ndarray, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """The middles of the tiles side by side, and of those the middle (H, W, 1)."""
    rows, columns = (-(-length // STRIDE) for length in (height, width))
    middles = predicted[:, MARGIN:-MARGIN, MARGIN:-MARGIN].reshape(rows, columns, STRIDE, STRIDE, 1)
    mosaic = middles.swapaxes(1, 2).reshape(rows * STRIDE, columns * STRIDE, 1)
    top, left = (rows * STRIDE - height) // 2, (columns * STRIDE - width) // 2
    return mosaic[top : top + height, left : left + width]


if __name__ == "__main__":
    sys.exit(main())
