"""Edge: the devices that a training runs on, and those that it leaves unused, told to people."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import zlib
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxmask.nvidia import NvidiaFacts, unused_device_warning
from preprocess.command import log

GIB = 2**30
PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin")
DRIVER_FOLDER = "proc/driver/nvidia"


def tell_devices(*, cpu_only: bool) -> None:
    """Say what this training runs on, and warn of an NVIDIA device that jax leaves unused on this host."""
    log.info("on %s", devices_message())
    warning = unused_device_warning(nvidia_facts(), jax.default_backend(), cpu_only=cpu_only)
    if warning:
        log.warning("%s", warning)


def devices_message() -> str:
    """Return the number and kind of all devices, what jax may use of their memory where known, and the processes."""
    processes = f"{jax.process_count()} processes" if jax.process_count() > 1 else "one process"
    memory = memory_gib(jax.local_devices()[0])
    size = f" ({memory:.0f} GiB each for jax)" if memory is not None else ""
    return f"{jax.device_count()} x {jax.devices()[0].device_kind}{size} in {processes}"


def memory_gib(device: jax.Device) -> float | None:
    """Return what jax may use of a device's memory in GiB; None where the device doesn't tell, as CPUs don't."""
    try:
        limit = (device.memory_stats() or {}).get("bytes_limit")
    except (jax.errors.JaxRuntimeError, NotImplementedError):
        return None
    return limit / GIB if limit else None


def count_hosts() -> int:
    """Return on how many hosts, by their names, the processes run; all processes must call this together."""
    if jax.process_count() == 1:
        return 1
    names = multihost_utils.process_allgather(np.array(zlib.crc32(platform.node().encode()), np.uint32))
    return len(np.unique(names))


def nvidia_facts(root: Path = Path("/")) -> NvidiaFacts:
    """Read what this host says of NVIDIA devices; root: of its file system."""
    signs = [f"/dev/{path.name}" for path in sorted((root / "dev").glob("nvidia[0-9]*"))[:1]]
    signs += [f"/{DRIVER_FOLDER}"] if (root / DRIVER_FOLDER).is_dir() else []
    signs += ["nvidia-smi"] if shutil.which("nvidia-smi") else []
    return NvidiaFacts(
        signs=tuple(signs),
        driver=_text(root / DRIVER_FOLDER / "version"),
        plugins=tuple(name for name in PLUGINS if _is_installed(name)),
        jax_platforms=os.environ.get("JAX_PLATFORMS"),
        visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _is_installed(package: str) -> bool:
    try:
        return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False
