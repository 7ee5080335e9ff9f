"""What gpu.py measures of ours: the shipped step and inference, its attempts, and the chip's own rates, in JAX.

One device, the first; jaxmask's step is compiled by jaxmask.programs, as jaxmask.train does it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gpu_fed import batches_of
from gpu_plan import Work
from gpu_variants import Settings, step_of
from gpu_work import Prepared, clip_offset, random_batch, random_images
from jax.sharding import AxisType, Mesh

from jaxmask import unet
from jaxmask.config import TrainConfig
from jaxmask.losses import CLIP_OFFSET, POSITIVE_WEIGHT
from jaxmask.machine import versions
from jaxmask.mesh import DATA_AXIS, batch_sharding
from jaxmask.optimiser import LEARNING_RATE, keras_adam
from jaxmask.programs import Programs, make_programs

# Of JAX, by the words of gpu_plan.PRECISIONS: how products of float32 are computed.
PRODUCTS = {"bfloat16": "default", "tf32": "default", "float32": "float32"}
STEPS_AN_EPOCH = 500  # of the published set at 32 a step, about; a constant schedule doesn't mind


def describe() -> dict[str, Any]:
    """What this process computes on and with."""
    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    return {
        "device": device.device_kind,
        "backend": jax.default_backend(),
        "devices_seen": jax.device_count(),
        "memory_bytes": stats.get("bytes_limit"),
        "versions": versions(),
    }


def prepare(work: Work) -> Prepared:
    """Make the work ready and do it once, which compiles it; raises what JAX raises."""
    makers = {
        "train": train, "variant": variant, "infer": infer, "scene": scene, "matmul": matmul, "copy": copy, "fed": fed,
    }  # fmt: skip
    matmul_precision = work.get("settings", {}).get("matmul") or PRODUCTS[work.get("precision", "float32")]

    def run(times: int) -> None:
        with jax.default_matmul_precision(matmul_precision):
            made.run(times)

    with jax.default_matmul_precision(matmul_precision):
        made = makers[work["kind"]](work)
        made.run(1)
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return Prepared(run, made.items, made.about | {"peak_bytes_of_process": peak})


def forget() -> None:
    """Drop compiled programs, and with them what they hold of the device's memory."""
    jax.clear_caches()


def programs_of(work: Work) -> Programs:
    """The functions of a training at the work's sizes, on one device."""
    config = TrainConfig(
        features=work["features"],
        patch_size=work["patch"],
        clip_offset=clip_offset(work["patch"], CLIP_OFFSET),
        batch_size=work["batch"],
        precision="bfloat16" if work["precision"] == "bfloat16" else "float32",
    )
    return make_programs(config, one_device(), global_batch=work["batch"], steps_per_epoch=STEPS_AN_EPOCH)


def train(work: Work) -> Prepared:
    """The shipped step on one batch that lies on the device."""
    programs = programs_of(work)
    state = programs.init()
    batch = jax.device_put(random_batch(work["batch"], work["patch"]), batch_sharding(one_device()))
    parameters = unet.count_parameters(state.params)
    step, counts = compiled(programs.train, state, batch)

    def run(times: int) -> None:
        nonlocal state
        for _ in range(times):
            state, sums = step(state, batch)
        float(sums.loss)

    return Prepared(run, work["batch"], {"parameters": parameters} | counts)


def variant(work: Work) -> Prepared:
    """The same step written for attempts (gpu_variants), with the work's settings."""
    _, params = unet.create(work["features"], 0)
    optimiser = keras_adam(LEARNING_RATE)
    settings, clip = Settings(**work["settings"]), clip_offset(work["patch"], CLIP_OFFSET)
    step = jax.jit(step_of(settings, optimiser, number_type(work), POSITIVE_WEIGHT, clip), donate_argnums=0)
    state = jax.device_put((params, optimiser.init(params)), jax.devices()[0])
    batch = jax.device_put(random_batch(work["batch"], work["patch"]), jax.devices()[0])
    step, counts = compiled(step, state, batch)

    def run(times: int) -> None:
        nonlocal state
        for _ in range(times):
            state, sums = step(state, batch)
        float(sums.loss)

    return Prepared(run, work["batch"], counts)


def infer(work: Work) -> Prepared:
    """Cloud probabilities of a batch of images that lies on the device."""
    predict = predictor(work)
    images = jax.device_put(random_images((work["batch"], work["rows"], work["columns"])), jax.devices()[0])

    def run(times: int) -> None:
        for _ in range(times):
            found = predict(images)
        float(found[0, 0, 0, 0])

    return Prepared(run, work["batch"], {})


def scene(work: Work) -> Prepared:
    """Whole scenes one by one, from host memory to host memory, as jaxmask.predict has it."""
    predict = predictor(work)
    image = random_images((1, work["rows"], work["columns"]))

    def run(times: int) -> None:
        for _ in range(times):
            np.asarray(predict(image))

    return Prepared(run, 1, {})


def predictor(work: Work) -> Callable[[Any], jax.Array]:
    """Images to the sigmoid of logits, in the work's precision."""
    graphdef, params = unet.create(work["features"], 0)
    params, dtype = jax.device_put(params, jax.devices()[0]), number_type(work)
    predict = jax.jit(lambda params, images: jax.nn.sigmoid(unet.apply(graphdef, params, images, dtype)))
    return lambda images: predict(params, images)


def matmul(work: Work) -> Prepared:
    """A product of two square matrices of random numbers."""
    left, right = jax.random.normal(jax.random.key(0), (2, work["size"], work["size"]), number_type(work))
    product = jax.jit(jnp.matmul)

    def run(times: int) -> None:
        for _ in range(times):
            found = product(left, right)
        float(found[0, 0])

    return Prepared(run, 1, {})


def copy(work: Work) -> Prepared:
    """Every byte of an array read and written once."""
    numbers = jax.random.normal(jax.random.key(0), (work["megabytes"] * 250_000,))
    scale = jax.jit(lambda array: array * jnp.float32(0.999), donate_argnums=0)

    def run(times: int) -> None:
        nonlocal numbers
        for _ in range(times):
            numbers = scale(numbers)
        float(numbers[0])

    return Prepared(run, 1, {})


def fed(work: Work) -> Prepared:
    """Training end to end, from a cache of patches in the host's or the device's memory."""
    programs = programs_of(work)
    stream, by = batches_of(work["cache"], work["patches"], work["patch"], work["batch"], one_device())
    state, sums = programs.init(), None

    def run(times: int) -> None:
        nonlocal state, sums
        for _ in range(times):
            before = sums
            state, sums = programs.train(state, next(stream))
            if before is not None:
                float(before.loss)  # fetched one step late, as jaxmask.train does
        jax.block_until_ready(state)

    return Prepared(run, work["batch"], {"cached_patches": work["patches"], "by": by})


def compiled(step: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The step compiled for its arguments, and what the compiler counts of it; None where it doesn't."""
    made = step.lower(*arguments).compile()  # type: ignore[attr-defined]
    cost, memory = {}, None
    with suppress(jax.errors.JaxRuntimeError, NotImplementedError):  # not every backend counts
        cost, memory = made.cost_analysis() or {}, made.memory_analysis()
    counts = {
        "compiler_flops": cost.get("flops"),
        "compiler_bytes": cost.get("bytes accessed"),
        "temporary_bytes": getattr(memory, "temp_size_in_bytes", None),
    }
    return made, counts


def number_type(work: Work) -> Any:
    """What the network computes in."""
    return jnp.bfloat16 if work["precision"] == "bfloat16" else jnp.float32


def one_device() -> Mesh:
    """The first device alone."""
    return jax.make_mesh((1,), (DATA_AXIS,), axis_types=(AxisType.Auto,), devices=jax.devices()[:1])
