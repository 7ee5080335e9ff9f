"""What gpu.py measures, in order of importance, and how much work each piece is; pure.

    pieces(options) -> a Piece for each figure; flops(features, patch) -> operations of one forward pass

A piece names one thing to be measured and the contenders that take turns at it. What a contender does is a `work`
object (JSON): its "kind" and its settings, which a worker process (gpu_worker.py) makes ready and repeats.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

CHANNELS, LEVELS, KERNEL = 9, 3, 9  # of the U-Net; taps of a 3 x 3 kernel
# Forward once, then the gradients by the input and by the weights of each convolution, as much again each.
PASSES_OF_TRAINING = 3
PRECISIONS = ("bfloat16", "tf32", "float32")  # tf32: float32 arrays, products as JAX takes them by default on a GPU
PUBLISHED = {"epochs": 30, "products": 971, "patches_a_product": 20, "train_share": 0.8}
TARGETS = {"times_compiled_pytorch": 1.3, "patches_per_second": 2500.0, "seconds_of_published_run": 200.0}

Work = dict[str, Any]

# Each alone against the step as it is shipped, in a process of its own, as XLA reads them once. An unknown one ends its
# process, which is written down as such.
XLA_FLAGS = {
    "latency hiding": "--xla_gpu_enable_latency_hiding_scheduler=true",
    "no command buffers": "--xla_gpu_enable_command_buffer=",
    "autotune level 2": "--xla_gpu_autotune_level=2",
    "no Triton products": "--xla_gpu_enable_triton_gemm=false",
    "cuDNN fusion": "--xla_gpu_cudnn_gemm_fusion_level=2",
    "convolution fusion": "--xla_gpu_experimental_enable_conv_fusion=true",
    "fusion autotuner": "--xla_gpu_experimental_enable_fusion_autotuner=true",
    "convolutions NHWC": "--xla_gpu_force_conv_nhwc=true",
    "convolutions NCHW": "--xla_gpu_force_conv_nchw=true",
    "deterministic": "--xla_gpu_deterministic_ops=true",
}
# Settings of gpu_variants.network, and beside which others they are measured.
AS_IT_IS: dict[str, Any] = {"shipped": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "halving's gradient by XLA": {},
    "layout NCHW": {"layout": "NCHW"},
    "folded upsampling, 2 x 2 kernels": {"form": {"folded": True}},
    "folded upsampling, 2 x 2 kernels, NCHW": {"folded": "blocks", "layout": "NCHW"},
    "folded upsampling, transposed": {"folded": "transposed"},
    "gradients of kernels as products": {"form": {"products": True}},
    "rematerialised": {"remat": True},
    "float32, products in bfloat16": {"shipped": True, "matmul": "bfloat16"},
    "float32, products in float32": {"shipped": True, "matmul": "float32"},
}
TORCH_MODES = ("reduce-overhead", "max-autotune-no-cudagraphs")


@dataclass(frozen=True)
class Contender:
    """One way to do a piece: the framework whose process does it, XLA flags of that process, and the work."""

    framework: str  # "jax" | "torch"
    work: Work
    xla_flags: str = ""


@dataclass(frozen=True)
class Piece:
    """One thing to measure: its contenders take turns, so that what else goes on meets all of them."""

    name: str
    group: str  # "chip" | "training" | "inference" | "fed" | "attempts" | "profile"
    contenders: dict[str, Contender]
    about: dict[str, Any] = field(default_factory=dict)
    least_s: float = 30.0  # not begun with less time left


def layers(features: int) -> list[tuple[int, int, int, int]]:
    """(inputs, outputs, taps, times halved) of each convolution, in the order of the data (jaxmask.unet)."""
    widths = [features * 2**level for level in range(LEVELS + 1)]
    found = [
        (ins, out, KERNEL, level)
        for level, (first, out) in enumerate(zip([CHANNELS, *widths[:-1]], widths, strict=True))
        for ins in (first, out)
    ]
    for level in reversed(range(LEVELS)):
        out = widths[level]
        found += [(widths[level + 1] + out, out, KERNEL, level), (out, out, KERNEL, level)]
    return [*found, (features, 1, 1, 0)]


def flops(features: int, rows: int, columns: int | None = None) -> float:
    """Floating-point operations of one forward pass over rows x columns pixels: 2 a multiplication and addition.

    Convolutions alone (of the rest, less than 1 %): at 32 features and 256 x 256, 21.5e9; trained, 64.4e9.
    """
    pixels = rows * (columns or rows)
    return sum(2.0 * ins * out * taps * pixels / 4**halved for ins, out, taps, halved in layers(features))


def training_flops(features: int, patch: int) -> float:
    """Operations of learning from one patch: 64.4e9 at 32 features and 256 x 256."""
    return PASSES_OF_TRAINING * flops(features, patch)


def trained_patches() -> int:
    """Patches that the published run learns from in all: 30 epochs of 776 products of 20 patches, 466,000."""
    products = int(PUBLISHED["products"] * PUBLISHED["train_share"])
    return int(PUBLISHED["epochs"] * products * PUBLISHED["patches_a_product"])


def pieces(options: Namespace) -> tuple[Piece, ...]:
    """Everything to measure, what matters most first; those of --only groups, if given."""
    first, *others = options.precisions
    attempt = min(options.batches, key=lambda batch: abs(batch - options.attempt_batch))
    found = [
        copying(options),
        *(chip(options, precision) for precision in options.precisions),
        *(compare(options, "training", "train", first, batch) for batch in options.batches),
        *(fed(options, cache, first, batch) for cache in ("device", "host") for batch in options.fed_batches),
        *(compare(options, "inference", "infer", first, batch) for batch in options.batches),
        *variants(options, first, attempt),
        profile(options, first, attempt),
        *(compare(options, "training", "train", other, batch) for other in others for batch in options.batches),
        *(compare(options, "inference", "scene", precision, 1) for precision in options.precisions),
        *flagged(options, first, attempt),
        *torch_modes(options, first, attempt),
        *(compare(options, "inference", "infer", other, batch) for other in others for batch in options.batches),
    ]
    return tuple(piece for piece in found if not options.only or piece.group in options.only)


def chip(options: Namespace, precision: str) -> Piece:
    """The rate of large products of matrices, the ceiling of all convolutions."""
    work = {"kind": "matmul", "precision": precision, "size": options.matrix}
    about = {"precision": precision, "flops_an_item": 2.0 * options.matrix**3}
    return Piece(f"matrix products, {precision}", "chip", both(work), about)


def copying(options: Namespace) -> Piece:
    """The rate of the device's memory: each byte read once and written once."""
    work = {"kind": "copy", "megabytes": options.copy_megabytes}
    about = {"bytes_an_item": 2e6 * options.copy_megabytes}
    return Piece("memory", "chip", {"jax": Contender("jax", work)}, about)


def compare(options: Namespace, group: str, kind: str, precision: str, batch: int) -> Piece:
    """The same work of both frameworks."""
    rows, columns = options.scene_size if kind == "scene" else (options.patch, options.patch)
    work = task(options, kind, precision, batch) | {"rows": rows, "columns": columns}
    passes = PASSES_OF_TRAINING if kind == "train" else 1
    about = {
        "kind": kind,
        "precision": precision,
        "batch": batch,
        "unit": "scenes" if kind == "scene" else "patches",
        "flops_an_item": passes * flops(options.features, rows, columns),
    }
    what = f"{kind}, {precision}" + ("" if kind == "scene" else f", batch {batch}")
    return Piece(what, group, both(work), about, least_s=45.0)


def fed(options: Namespace, cache: str, precision: str, batch: int) -> Piece:
    """Training end to end, patches coming from a cache."""
    work = task(options, "fed", precision, batch) | {"cache": cache, "patches": options.patches}
    about = {
        "cache": cache,
        "precision": precision,
        "batch": batch,
        "unit": "patches",
        "flops_an_item": training_flops(options.features, options.patch),
    }
    return Piece(f"fed, {cache}, batch {batch}", "fed", {"jax": Contender("jax", work)}, about, least_s=60.0)


def variants(options: Namespace, precision: str, batch: int) -> Iterator[Piece]:
    """Each change of the network alone beside the network as it is, in one process."""
    for name, settings in VARIANTS.items():
        # What products of float32 are computed in changes nothing of a network in bfloat16.
        own = "tf32" if "matmul" in settings else precision
        plain = task(options, "variant", own, batch)
        contenders = {
            "as it is": Contender("jax", plain | {"settings": AS_IT_IS}),
            name: Contender("jax", plain | {"settings": settings}),
        }
        yield Piece(name, "attempts", contenders, attempt_about(options, own, batch), least_s=45.0)


def flagged(options: Namespace, precision: str, batch: int) -> Iterator[Piece]:
    """The shipped step under each of XLA_FLAGS beside the same without."""
    work = task(options, "train", precision, batch)
    for name, flags in XLA_FLAGS.items():
        contenders = {"as it is": Contender("jax", work), name: Contender("jax", work, flags)}
        about = attempt_about(options, precision, batch) | {"xla_flags": flags}
        yield Piece(name, "attempts", contenders, about, least_s=60.0)


def torch_modes(options: Namespace, precision: str, batch: int) -> Iterator[Piece]:
    """The peer compiled in other ways, in case they make it faster."""
    work = task(options, "train", precision, batch)
    for mode in TORCH_MODES:
        contenders = {
            "as it is": Contender("torch", work),
            mode: Contender("torch", work | {"torch_mode": mode}),
        }
        yield Piece(f"PyTorch, {mode}", "attempts", contenders, attempt_about(options, precision, batch), 90.0)


def profile(options: Namespace, precision: str, batch: int) -> Piece:
    """Where the time of the shipped step goes, by the profiler."""
    contenders = {"jax": Contender("jax", task(options, "train", precision, batch))}
    return Piece("profile", "profile", contenders, {"precision": precision, "batch": batch}, least_s=45.0)


def attempt_about(options: Namespace, precision: str, batch: int) -> dict[str, Any]:
    """What every attempt's record says of its work."""
    count = training_flops(options.features, options.patch)
    return {"precision": precision, "batch": batch, "unit": "patches", "flops_an_item": count}


def task(options: Namespace, kind: str, precision: str, batch: int) -> Work:
    """What all works of the network hold."""
    shared = {"features": options.features, "patch": options.patch, "torch_mode": options.torch_mode}
    return {"kind": kind, "precision": precision, "batch": batch} | shared


def both(work: Work) -> dict[str, Contender]:
    """The two frameworks at the same work."""
    return {framework: Contender(framework, work) for framework in ("jax", "torch")}
