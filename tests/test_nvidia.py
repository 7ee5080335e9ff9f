"""When people are told of an NVIDIA device that jax leaves unused, and what they should do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jaxmask import devices
from jaxmask.devices import devices_message, nvidia_facts, tell_devices
from jaxmask.nvidia import NvidiaFacts, driver_version, unused_device_warning

VERSION = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Thu Jun 26 01:17:13 UTC 2025
GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)
"""
OPEN_VERSION = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (dvs-builder@U16)\n"
FACTS = NvidiaFacts(
    signs=("/dev/nvidia0",), driver=VERSION.format("570.172.08"), plugins=(), jax_platforms=None, visible_devices=None
)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("driver", "advice"),
    [
        (VERSION.format("580.65.06"), "install jaxmask[cuda13], which goes with its driver 580"),
        (OPEN_VERSION.format("590.12"), "install jaxmask[cuda13], which goes with its driver 590"),
        (VERSION.format("570.172.08"), "install jaxmask[cuda12], which goes with its driver 570"),
        (VERSION.format("470.82.01"), "its driver 470 is too old for jax: update it to 525 or later, then install"),
        (None, "install jaxmask[cuda13], or jaxmask[cuda12] for a driver before 580"),
        ("what no driver says", "install jaxmask[cuda13], or jaxmask[cuda12] for a driver before 580"),
    ],
)
def test_what_to_install_goes_by_the_driver(driver: str | None, advice: str) -> None:
    warning = unused_device_warning(replace(FACTS, driver=driver), "cpu", cpu_only=False)
    start = "an NVIDIA device seems to be here (/dev/nvidia0), but jax computes on the CPU: "
    assert warning is not None
    assert warning.startswith(start + advice)
    assert warning.endswith("; or give --cpu-only")


def test_where_jax_has_what_it_needs_the_advice_is_another() -> None:
    installed = replace(FACTS, plugins=("jax-cuda12-plugin",))
    assert "though jax-cuda12-plugin is installed: see what jax says" in str(
        unused_device_warning(installed, "cpu", cpu_only=False)
    )
    told = replace(installed, jax_platforms="cpu")
    assert "as JAX_PLATFORMS=cpu says: unset it" in str(unused_device_warning(told, "cpu", cpu_only=False))


@pytest.mark.parametrize(
    ("facts", "platform", "cpu_only"),
    [
        (FACTS, "gpu", False),
        (FACTS, "cpu", True),
        (replace(FACTS, signs=()), "cpu", False),
        (replace(FACTS, visible_devices=""), "cpu", False),
        (replace(FACTS, visible_devices="-1"), "cpu", False),
    ],
)
def test_nothing_is_said_where_all_is_as_it_should_be(facts: NvidiaFacts, platform: str, cpu_only: bool) -> None:
    assert unused_device_warning(facts, platform, cpu_only=cpu_only) is None


def test_the_driver_of_no_text() -> None:
    assert driver_version(None) is None
    assert driver_version(VERSION.format("535.54")) == 535


def test_facts_are_read_from_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert nvidia_facts(tmp_path) == NvidiaFacts((), None, nvidia_facts().plugins, "cpu", None)
    for name in ("dev/nvidia3", "dev/nvidiactl", "proc/driver/nvidia/version"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("NVRM version")
    (tmp_path / "nvidia-smi").write_text("")
    (tmp_path / "nvidia-smi").chmod(0o755)
    facts = nvidia_facts(tmp_path)
    assert (facts.signs, facts.driver) == (("/dev/nvidia3", "/proc/driver/nvidia", "nvidia-smi"), "NVRM version")


def test_people_are_told_at_the_start(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(devices, "nvidia_facts", lambda: FACTS)
    tell_devices(cpu_only=True)
    assert [record.message for record in caplog.records] == ["on 8 x cpu in one process"]
    tell_devices(cpu_only=False)
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "WARNING"]


@pytest.mark.parametrize(
    ("stats", "size"), [({"bytes_limit": 79.4 * 2**30}, " (79 GiB each for jax)"), ({}, ""), (None, "")]
)
def test_memory_is_told_where_a_device_tells_it(
    monkeypatch: pytest.MonkeyPatch, stats: dict[str, float] | None, size: str
) -> None:
    class Device:
        device_kind = "NVIDIA H100"

        def memory_stats(self) -> dict[str, float] | None:
            return stats

    for name in ("devices", "local_devices"):
        monkeypatch.setattr(devices.jax, name, lambda: [Device()])
    monkeypatch.setattr(devices.jax, "process_count", lambda: 4)
    assert devices_message() == f"8 x NVIDIA H100{size} in 4 processes"


def test_hosts_are_counted_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.count_hosts() == 1
    monkeypatch.setattr(devices.jax, "process_count", lambda: 4)
    monkeypatch.setattr(
        devices.multihost_utils, "process_allgather", lambda name: devices.np.stack([name, name, name ^ 1, name])
    )
    assert devices.count_hosts() == 2
