"""Edge: what a training runs on: devices and package versions."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import jax

GPU_PLATFORMS = ("gpu", "cuda", "rocm")
PACKAGES = ("jaxmask", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "h5py")


@dataclass(frozen=True)
class Machine:
    """What a training ran on: over all hosts, but for the name, which is this host's."""

    system: str
    processes: int
    devices: int
    gpus: int
    kind: str  # of a device, as its driver names it


def this_machine() -> Machine:
    """Return what this process trains on, together with the others; to be called after joining them."""
    devices = jax.devices()
    gpus = sum(device.platform in GPU_PLATFORMS for device in devices)
    return Machine(platform.node(), jax.process_count(), len(devices), gpus, devices[0].device_kind)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages whose numbers end up in a model."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
