"""Which process of several predicts which scenes, and how the processes are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from jaxmask.infer_config import InferConfig
from jaxmask.launch_choice import Launch
from jaxmask.shares import clear_others, failures_name, find_process, share
from preprocess.errors import UserError


def launch(process: int, processes: int) -> Launch:
    return Launch("flags", None, processes, process)


@pytest.mark.quick
@pytest.mark.parametrize(("paths", "processes"), [(0, 3), (1, 3), (7, 3), (9, 3), (971, 16), (5, 1)])
def test_shares_are_disjoint_complete_and_alike_whatever_order_a_host_lists_files_in(
    paths: int, processes: int
) -> None:
    names = [Path(f"/{'ab'[number % 2]}/{number:04d}.hdf") for number in range(paths)]
    shares = [share(names if n % 2 else names[::-1], launch(n, processes)) for n in range(processes)]
    assert sorted((path for each in shares for path in each), key=lambda path: path.name) == names
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


SLURM = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}  # fmt: skip
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "6", "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "by", "process", "processes", "devices"),
    [
        ({}, "alone", 0, 1, None),
        ({"JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": "3"}, "environment", 3, 4, None),
        (SLURM, "slurm", 5, 8, (1,)),
        (OPEN_MPI, "openmpi", 6, 8, (2,)),
        ({"JAX_NUM_PROCESSES": "4", "JOB_COMPLETION_INDEX": "1"}, "kubernetes", 1, 4, None),
    ],
)
def test_no_coordinator_is_needed(
    environ: dict[str, str], by: str, process: int, processes: int, devices: tuple[int, ...] | None
) -> None:
    """Open MPI on two hosts, for one, would want its name for a training."""
    found = find_process(environ, None, None)
    assert (found.by, found.process, found.processes, found.local_devices) == (by, process, processes, devices)
    assert found.notice is None
    flags = find_process(environ, 9, 2)
    assert (flags.by, flags.process, flags.processes) == ("flags", 2, 9)


def test_an_environment_set_by_half_is_told() -> None:
    assert "this process alone" in (find_process({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, None, None).notice or "")


def test_flags_of_processes_are_checked() -> None:
    paths = Path("model"), Path("hdf"), Path("out")
    with pytest.raises(UserError, match="--num-processes and --process-id go together"):
        InferConfig(*paths, num_processes=2)
    with pytest.raises(UserError, match="--process-id must be from 0 to 1; found 2"):
        InferConfig(*paths, num_processes=2, process_id=2)
    with pytest.raises(UserError, match="--num-processes must be 1 or more"):
        InferConfig(*paths, num_processes=0, process_id=0)


def test_each_process_has_its_list_of_failures_and_those_of_other_runs_go(tmp_path: Path) -> None:
    assert [failures_name(launch(n, 2)) for n in range(2)] == ["failures.0.json", "failures.1.json"]
    assert failures_name(launch(0, 1)) == "failures.json"
    lists = ["failures.json", *(f"failures.{n}.json" for n in range(4))]

    def left_by(process: int, processes: int) -> set[str]:
        for name in (*lists, "sst_failures.json"):
            (tmp_path / name).touch()
        clear_others(tmp_path, launch(process, processes))
        return {path.name for path in tmp_path.iterdir()} - {"sst_failures.json"}

    assert left_by(1, 2) == set(lists), "only the first one clears, once"
    assert left_by(0, 2) == {"failures.0.json", "failures.1.json"}
    assert left_by(0, 1) == {"failures.json"}
