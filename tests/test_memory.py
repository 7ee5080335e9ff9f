"""What memory is to be had, of files that look as Linux's do."""

from __future__ import annotations

from pathlib import Path

import pytest

from jaxmask import memory

GB = 10**9


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with 100 GB to be had; the process is in a step of a job."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 999999999 kB\nMemAvailable:   {100 * GB // 1024} kB\n")
    (tmp_path / "own").write_text("0::/slurm/job_7/step_0\n")
    (tmp_path / "cgroup" / "slurm" / "job_7" / "step_0").mkdir(parents=True)
    for name, path in (("MEMORY_INFO", "meminfo"), ("OWN_CGROUP", "own"), ("CGROUPS", "cgroup")):
        monkeypatch.setattr(memory, name, tmp_path / path)
    return tmp_path / "cgroup"


def limit(cgroup: Path, allowed: str, used: int = 0, cached: int = 0) -> None:
    (cgroup / "memory.max").write_text(f"{allowed}\n")
    (cgroup / "memory.current").write_text(f"{used}\n")
    (cgroup / "memory.stat").write_text(
        f"anon {used - cached}\nactive_file {cached // 4}\ninactive_file {cached * 3 // 4}\n"
    )


@pytest.mark.quick
def test_what_a_job_has_used_of_its_limit_is_not_to_be_had_again(system: Path) -> None:
    assert memory.available_memory() == 100 * GB // 1024 * 1024
    limit(system / "slurm" / "job_7" / "step_0", "max", used=50 * GB)
    assert memory.available_memory() == 100 * GB // 1024 * 1024
    limit(system / "slurm" / "job_7", str(32 * GB), used=25 * GB, cached=4 * GB)
    assert memory.available_memory() == 32 * GB - (25 * GB - 4 * GB)
    limit(system / "slurm", str(5 * GB), used=6 * GB)
    assert memory.available_memory() == 0


def test_a_container_sees_its_limit_at_the_top(system: Path, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")
    limit(system, str(8 * GB), used=GB)
    assert memory.available_memory() == 7 * GB


def test_where_nothing_is_told_nothing_is_known(system: Path, tmp_path: Path) -> None:
    (tmp_path / "own").unlink()
    (tmp_path / "meminfo").unlink()
    assert memory.available_memory() is None
    (system / "memory.max").write_text(f"{3 * GB}\n")  # and not how much of it is used
    assert memory.available_memory() == 3 * GB
