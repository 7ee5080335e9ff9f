"""The original's U-Net as a competent user of Keras and TensorFlow runs it on a CPU, for ours to be measured against.

    python benchmarks/keras_peer.py [--features 32 --batch 8 --patch 256 --clip 15 --jit]

Needs TensorFlow (the extra `peer`), and nothing of jaxmask, so that any interpreter can run it. It answers on stdout, a
line of JSON each, to lines of stdin: "forward 2" predicts a batch twice, "train 2" takes two steps of training, and
the answer holds the seconds of the wall clock and of the processor, {"wall_s": 1.2, "cpu_s": 2.3}. Its first line,
when all is compiled and warm, says what it is.

float32, rows x columns x channels, `tf.function` over the whole step, TensorFlow's own choice of kernels (oneDNN) and
of threads: the usual way, and the fastest that was found. `--jit` compiles with XLA instead.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

CHANNELS = 9
LEARNING_RATE = 0.001
POSITIVE_WEIGHT = 0.5
EPSILON = 1e-7  # the original's bounds of a probability


def main(argv: list[str] | None = None) -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=32, help="features of the U-Net's first level")
    parser.add_argument("--batch", type=int, default=8, help="patches a step")
    parser.add_argument("--patch", type=int, default=256, help="rows and columns of a patch, pixels")
    parser.add_argument("--clip", type=int, default=15, help="pixels on every side that the loss leaves out")
    parser.add_argument("--jit", action="store_true", help="compile with XLA")
    options = parser.parse_args(argv)
    work = programs(options)
    for program in work.values():
        program()
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "python": sys.version.split()[0]}
    answer({"peer": "tf.function, XLA" if options.jit else "tf.function, oneDNN", "versions": versions})
    for line in sys.stdin:
        name, times = line.split()
        answer(clocked(work[name], int(times)))
    return 0


def programs(options: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """A batch predicted, and a step of training: each called waits for its result."""
    rng = np.random.default_rng(0)
    shape = (options.batch, options.patch, options.patch)
    image = tf.constant(rng.normal(size=(*shape, CHANNELS)), tf.float32)
    label = tf.constant(rng.integers(0, 2, (*shape, 1)), tf.float32)
    model = unet(options.features)
    optimiser = keras.optimizers.Adam(LEARNING_RATE)
    optimiser.build(model.trainable_variables)

    @tf.function(jit_compile=options.jit)
    def forward() -> tf.Tensor:
        return model(image, training=False)

    @tf.function(jit_compile=options.jit)
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(label, model(image, training=True), options.clip)
        gradient = tape.gradient(value, model.trainable_variables)
        optimiser.apply_gradients(zip(gradient, model.trainable_variables, strict=True))
        return value

    def wait(program: Callable[[], tf.Tensor]) -> Callable[[], None]:
        def run() -> None:
            program().numpy()

        return run

    return {"forward": wait(forward), "train": wait(train)}


def unet(features: int) -> keras.Model:
    """Ronneberger et al. 2015 with nearest upsampling, three levels, sigmoid output."""

    def pair(x: Any, width: int) -> Any:
        for _ in range(2):
            x = keras.layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    inputs = x = keras.Input((None, None, CHANNELS))
    skips = []
    for level in range(3):
        skips.append(pair(x, features * 2**level))
        x = keras.layers.MaxPooling2D()(skips[-1])
    x = pair(x, features * 8)
    for level in (2, 1, 0):
        x = keras.layers.Concatenate()([keras.layers.UpSampling2D()(x), skips[level]])
        x = pair(x, features * 2**level)
    return keras.Model(inputs, keras.layers.Conv2D(1, 1, activation="sigmoid")(x))


def loss(label: tf.Tensor, output: tf.Tensor, clip: int) -> tf.Tensor:
    """The original's: weighted cross entropy of the output within [1e-7, 1 - 1e-7], over the patch less its edge."""
    rows = slice(clip, -clip or None)
    label, output = label[:, rows, rows], tf.clip_by_value(output[:, rows, rows], EPSILON, 1 - EPSILON)
    logits = tf.math.log(output / (1 - output))
    return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(label, logits, POSITIVE_WEIGHT))


def clocked(program: Callable[[], None], times: int) -> dict[str, float]:
    """Seconds that `times` calls take."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        program()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def answer(found: dict[str, Any]) -> None:
    """One line of JSON."""
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.exit(main())
