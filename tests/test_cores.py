"""The cores a process may use, by its affinity and by the quotas of its control groups, in made-up file systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from preprocess.cores import available_cores


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", 16), ("400000 100000", 4), ("150000 100000", 1), ("50000 100000", 1), ("9900000 100000", 16),
     ("nonsense", 16), ("100 0", 16)],
)  # fmt: skip
def test_the_quota_of_the_containers_group_counts(tmp_path: Path, text: str, cores: int) -> None:
    assert available_cores(system(tmp_path, {"sys/fs/cgroup/cpu.max": text})) == cores


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == 16


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    groups = "sys/fs/cgroup/kubepods/pod7"
    files = {
        "proc/self/cgroup": "0::/kubepods/pod7/box\n",
        f"{groups}/box/cpu.max": "800000 100000\n",
        f"{groups}/cpu.max": "300000 100000\n",
        "sys/fs/cgroup/kubepods/cpu.max": "max 100000\n",
        "sys/fs/cgroup/other/cpu.max": "100000 100000\n",
    }
    assert available_cores(system(tmp_path, files)) == 3


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
def test_quotas_of_the_first_version_count(tmp_path: Path, controllers: str) -> None:
    base = f"sys/fs/cgroup/{controllers}"
    files = {
        "proc/self/cgroup": f"9:memory:/docker/7\n4:{controllers}:/docker/7\n1:name=systemd:/\n",
        f"{base}/cpu.cfs_quota_us": "-1",
        f"{base}/cpu.cfs_period_us": "100000",
        f"{base}/docker/7/cpu.cfs_quota_us": "250000",
        f"{base}/docker/7/cpu.cfs_period_us": "50000",
        "sys/fs/cgroup/memory/docker/7/cpu.cfs_quota_us": "1",
    }
    assert available_cores(system(tmp_path, files)) == 5


def test_where_a_container_sees_its_own_group_as_the_root_the_root_counts(tmp_path: Path) -> None:
    """Without a namespace of its own, membership tells the host's path, which the container can't see."""
    files = {
        "proc/self/cgroup": "4:cpu,cpuacct:/docker/7\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
    }
    assert available_cores(system(tmp_path, files)) == 2


def test_here_it_is_at_least_one() -> None:
    assert 1 <= available_cores() <= 16
