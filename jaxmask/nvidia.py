"""Whether jax leaves an NVIDIA device unused by mistake, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The oldest drivers for which CUDA's toolkits of these versions are built, per NVIDIA's CUDA compatibility guide
# (docs.nvidia.com/deploy/cuda-compatibility), newest first.
DRIVERS_OF_EXTRAS = ((580, "cuda13"), (525, "cuda12"))
HIDDEN = ("", "-1", "none", "NoDevFiles")  # of CUDA_VISIBLE_DEVICES: no device is shown


@dataclass(frozen=True)
class NvidiaFacts:
    """What was found on this host."""

    signs: tuple[str, ...]  # of an NVIDIA device: files, commands
    driver: str | None  # its text in /proc/driver/nvidia/version
    plugins: tuple[str, ...]  # packages of jax for CUDA that are installed
    jax_platforms: str | None  # the environment's JAX_PLATFORMS
    visible_devices: str | None  # the environment's CUDA_VISIBLE_DEVICES


def unused_device_warning(facts: NvidiaFacts, platform: str, *, cpu_only: bool) -> str | None:
    """Return what to tell people when jax computes on `platform` ("cpu", "gpu"); None if that is as they want it.

    --cpu-only, and CUDA_VISIBLE_DEVICES without a device, say that it is.
    """
    if platform != "cpu" or cpu_only or not facts.signs or facts.visible_devices in HIDDEN:
        return None
    found = f"an NVIDIA device seems to be here ({', '.join(facts.signs)}), but jax computes on the CPU"
    if facts.jax_platforms and "cpu" in facts.jax_platforms.split(",")[:1]:
        return f"{found}, as JAX_PLATFORMS={facts.jax_platforms} says: unset it to train faster, or give --cpu-only"
    if facts.plugins:
        return (
            f"{found} though {', '.join(facts.plugins)} is installed: see what jax says above, and whether nvidia-smi "
            "lists the device; or give --cpu-only"
        )
    return f"{found}: {_advice(facts.driver)}; or give --cpu-only"


def driver_version(text: str | None) -> int | None:
    """Return the main number of the driver of which /proc/driver/nvidia/version tells; None where it doesn't."""
    found = re.search(r"\b(\d{3})\.\d+(?:\.\d+)?\b", text or "")
    return int(found[1]) if found else None


def _advice(driver_text: str | None) -> str:
    driver = driver_version(driver_text)
    if driver is None:
        return "install jaxmask[cuda13], or jaxmask[cuda12] for a driver before 580"
    for oldest, extra in DRIVERS_OF_EXTRAS:
        if driver >= oldest:
            return f"install jaxmask[{extra}], which goes with its driver {driver}"
    oldest, extra = DRIVERS_OF_EXTRAS[-1]
    return f"its driver {driver} is too old for jax: update it to {oldest} or later, then install jaxmask[{extra}]"
