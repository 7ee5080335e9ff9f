"""What training costs on 1 to 512 GPUs, worked out from one GPU's rate, the gradients' size and the networks; pure.

Strong scaling of the published set at the original's 32 patches a GPU. Nothing is overlapped: the exchange of gradients
begins when the last is computed, the next step when all have been exchanged. So the times are rather too long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import gpu_plan

BATCH = 32  # patches a GPU and step, of the original
FEATURES, PATCH = 32, 256
GPUS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
GPUS_A_NODE = 8  # DGX H100
FLOAT_BYTES = 4
PATCH_BYTES = PATCH**2 * (2 * gpu_plan.CHANNELS + 2)  # int16 counts, uint8 label and weight, as training keeps them
TRAINED = gpu_plan.trained_patches() // gpu_plan.PUBLISHED["epochs"]
TESTED = gpu_plan.PUBLISHED["products"] * gpu_plan.PUBLISHED["patches_a_product"] - TRAINED
EPOCHS = gpu_plan.PUBLISHED["epochs"]
STATE_ARRAYS = 3  # parameters and Adam's two moments
LATENCIES = {"call": 8.4e-6, "nvlink": 3.4e-6, "network": 14e-6}  # s; NCCL, src/graph/tuning.cc, ring, Simple
NVLINK = 450e9  # bytes/s each way: NVIDIA, H100 SXM: 900 GB/s both ways
PCIE = 64e9  # bytes/s each way: NVIDIA, H100 SXM: PCIe 5.0, 128 GB/s both ways
ASSUMED_RATE = gpu_plan.TARGETS["patches_per_second"]
SMALL = 0.05  # overheads below this share of computing limit nothing


@dataclass(frozen=True)
class Network:
    """What joins the nodes."""

    name: str
    bytes_a_second: float  # of a node, each way


# DGX H100: eight ConnectX-7 of 400 Gbit/s, one a GPU; and a single card of 100 Gbit/s for all eight.
NETWORKS = (Network("InfiniBand, 8 x 400 Gbit/s", 400e9), Network("Ethernet (RDMA), 100 Gbit/s", 12.5e9))


@dataclass(frozen=True)
class Epoch:
    """One epoch on so many GPUs, s."""

    gpus: int
    steps: int
    ideal_s: float  # computing alone, without empty places
    padding_s: float  # computing empty places of last steps
    exchange_s: float
    checkpoint_s: float  # what of writing it outlasts the epoch

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.ideal_s + self.padding_s + self.exchange_s + self.checkpoint_s

    @property
    def efficiency(self) -> float:
        """Share of the GPUs' time that is computing."""
        return self.ideal_s / self.seconds

    @property
    def limit(self) -> str:
        """What costs most beside computing."""
        costs = {
            "exchange": self.exchange_s,
            "too few patches": self.padding_s,
            "checkpoint each epoch": self.checkpoint_s,
        }
        worst = max(costs, key=lambda name: costs[name])
        return worst if sum(costs.values()) > SMALL * self.seconds else "computing"


def gradient_bytes() -> float:
    """Of the network's gradients in float32: 7.8 MB."""
    kernels = sum(ins * out * taps + out for ins, out, taps, _ in gpu_plan.layers(FEATURES))
    return float(FLOAT_BYTES * kernels)


def exchange_s(gpus: int, network: Network) -> float:
    """Seconds to sum the gradients over all: rings within nodes, then between nodes, each GPU its part.

    A ring of n sums and hands round in 2 (n - 1) messages of a share 1/n (Patarasu & Yuan 2009,
    10.1016/j.jpdc.2008.09.002). Between nodes the GPUs of one share its network.
    """
    inside, nodes = min(gpus, GPUS_A_NODE), math.ceil(gpus / GPUS_A_NODE)
    size = gradient_bytes()
    if gpus == 1:
        return 0.0
    within = 2 * (inside - 1) * (LATENCIES["nvlink"] + size / inside / NVLINK)
    between = 2 * (nodes - 1) * (LATENCIES["network"] + size / nodes / network.bytes_a_second)
    return LATENCIES["call"] * (1 + (nodes > 1)) + within + between


def epoch(gpus: int, rate: float, network: Network, write_s: float) -> Epoch:
    """An epoch of training and testing.

    rate: patches/s of a GPU in training; testing is one of its three passes. write_s: to write a checkpoint, which goes
    on while the next epoch computes.
    """
    steps, tests = math.ceil(TRAINED / (BATCH * gpus)), math.ceil(TESTED / (BATCH * gpus))
    test_rate = gpu_plan.PASSES_OF_TRAINING * rate
    computed = BATCH * (steps / rate + tests / test_rate)
    ideal = (TRAINED / rate + TESTED / test_rate) / gpus
    exchange = steps * exchange_s(gpus, network)
    copy_s = STATE_ARRAYS * gradient_bytes() / PCIE
    return Epoch(
        gpus, steps, ideal, computed - ideal, exchange, copy_s + max(0.0, write_s - computed - exchange - copy_s)
    )


def write_seconds(conversion: dict[str, Any]) -> float:
    """To write and sync a checkpoint, at the rate at which conversion.py wrote and synced a shard."""
    rate = conversion["shard_mb"]["native"] * 1e6 / conversion["stages"]["write the shard, fsync included"]["median_s"]
    return STATE_ARRAYS * gradient_bytes() / rate


def measured_rate(gpu: dict[str, Any] | None) -> float | None:
    """Patches/s of the step at 32 patches in bfloat16, of gpu.py's report; None if it wasn't measured."""
    piece = ((gpu or {}).get("pieces") or {}).get(f"train, bfloat16, batch {BATCH}", {})
    rate: float | None = piece.get("contenders", {}).get("jax", {}).get("rate")
    return rate


def text(reports: dict[str, Any]) -> str:
    """All tables. reports: what benchmarks/measured holds by name; None for what isn't there, but for "conversion"."""
    found = measured_rate(reports["gpu"])
    rate, write_s = found or ASSUMED_RATE, write_seconds(reports["conversion"])
    if found:
        source = f"measured: {reports['gpu']['frameworks']['jax']['device']}, {reports['gpu']['when'][:10]}"
    else:
        source = "**an assumption: the aim of `benchmarks/gpu.py` on an H100, which has not been measured**"
    head = (
        f"Patches/s of a GPU: {rate:,.0f} ({source}). Gradients: {gradient_bytes() / 1e6:.1f} MB. A checkpoint: "
        f"{STATE_ARRAYS * gradient_bytes() / 1e6:.0f} MB, written in {write_s:.2f} s at the rate at which a shard was. "
        f"The published set: {TRAINED:,} patches to train on, {TESTED:,} to test on, {EPOCHS} epochs."
    )
    return "\n\n".join([head, gpu_table(rate, write_s), input_table(rate, reports), local_table(reports)])


def gpu_table(rate: float, write_s: float) -> str:
    """A row a number of GPUs."""
    heads = ["GPUs", "patches a step", "steps an epoch", "a step computes, ms"]
    for network in NETWORKS:
        heads += [f"{network.name}: exchange, ms", "efficiency", "30 epochs, s", "limits"]
    rows = []
    for gpus in GPUS:
        made = [epoch(gpus, rate, network, write_s) for network in NETWORKS]
        row = [str(gpus), f"{BATCH * gpus:,}", str(made[0].steps), f"{1000 * BATCH / rate:.1f}"]
        for one, network in zip(made, NETWORKS, strict=True):
            row += [f"{1000 * exchange_s(gpus, network):.2f}", f"{one.efficiency:.0%}", f"{EPOCHS * one.seconds:.3g}"]
            row.append(one.limit)
        rows.append(row)
    return table(heads, rows)


def input_table(rate: float, reports: dict[str, Any]) -> str:
    """What each cache asks for."""
    per_core = (reports["input"] or {}).get("patches_per_core_second", {})
    shard_bytes = reports["conversion"]["shard_mb"]["native"] * 1e6
    read = rate * shard_bytes / gpu_plan.PUBLISHED["patches_a_product"]

    def cores(cache: str) -> str:
        found = per_core.get(f"{cache}, prepared", per_core.get(cache))
        return f"{rate / found:.1f}" if found else "not measured"

    share = TRAINED * PATCH_BYTES / 1e9
    rows = [
        ["device", f"{share:.0f} GB over all devices, or on each", "none", "none"],
        ["host", f"{share:.0f} GB over all hosts", cores("host"),
         f"{rate * PATCH_BYTES / 1e9:.1f} GB/s to each GPU, of PCIe's {PCIE / 1e9:.0f}"],
        ["none", "none", cores("none"),
         f"{read / 1e9:.1f} GB/s from the disk for each GPU: {512 * read / 1e12:.1f} TB/s for 512"],
    ]  # fmt: skip
    return table(["--cache", "memory", "cores a GPU", "traffic"], rows)


def local_table(reports: dict[str, Any]) -> str:
    """What scaling.py measured."""
    report = reports["training_scaling"]
    if report is None:
        return "`benchmarks/scaling.py`: not measured yet."
    sizes, rows = report["sizes"], []
    for row in report["rows"]:
        rows.append([
            str(row["processes"]), f"{row['patches_per_second']:.3g}", f"{row['efficiency']:.0%}",
            f"{row['of_the_cores']:.0%}", f"{1000 * row['exchange_s']:.1f}",
        ])  # fmt: skip
    head = (
        f"Measured, {report['processor']}, {report['when'][:10]}, {report['cores']} cores, load before "
        f"{report['load']:.1f}: {sizes['features']} features, {sizes['patch_size']} x {sizes['patch_size']}, "
        f"{sizes['batch']} patches a process and step, float32, gloo. More processes than cores share them."
    )
    heads = ["processes", "patches/s", "of processes x one", "of cores x one", "an exchange alone, ms"]
    return f"{head}\n\n{table(heads, rows)}\n\n{cores_line(report)}"


def cores_line(report: dict[str, Any]) -> str:
    """What the measured rate of a core makes of many."""
    step_s, most = BATCH * report["rows"][0]["processes"] / report["rows"][0]["patches_per_second"], max(GPUS)
    found = exchange_s(most, NETWORKS[-1])
    return (
        f"On such a core a step of {BATCH} patches takes {step_s:.3g} s, beside which an exchange between {most} over "
        f"{NETWORKS[-1].name}, {1000 * found:.1f} ms, is {found / (found + step_s):.2%}: only too few patches limit."
    )


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows])
