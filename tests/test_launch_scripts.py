"""The launch scripts: Slurm's with stand-ins for its commands, Open MPI's with mpirun, Kubernetes' by its schema."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from jaxmask.checkpoint import whole_steps
from jaxmask.launch_choice import choose_launch
from preprocess.errors import EXIT_SAVED, EXIT_SOME_FAILED, EXIT_USAGE
from tests.shards import make_shards

LAUNCH = Path(__file__).resolve().parents[1] / "launch"
SLURM, OPEN_MPI, KUBERNETES = LAUNCH / "slurm.sbatch", LAUNCH / "openmpi.sh", LAUNCH / "kubernetes.yaml"
TASK = ["--features", "2", "--patch-size", "32", "--clip-offset", "4", "--global-batch-size", "4"]
FLAGS = [*TASK, "--epochs", "100000", "--train-split", "1", "--cpu-only"]
QUICK_COMPILATION = "--xla_backend_optimization_level=0"
FIRST_EPOCH_SECONDS = 150.0  # with compilation, on a busy machine
# srun as it starts two tasks on one node, each with the variables that Slurm sets.
SRUN = f"""#!{sys.executable}
import os, subprocess, sys
command = sys.argv[sys.argv.index("--wait=60") + 1:]
node = os.uname().nodename
step = dict(SLURM_STEP_ID="0", SLURM_STEP_NODELIST=node, SLURM_STEP_NUM_TASKS="2", SLURM_STEP_TASKS_PER_NODE="2",
            SLURM_NTASKS="2", JAX_COORDINATOR_ADDRESS="127.0.0.1:" + os.environ["FREE_PORT"])
tasks = [
    subprocess.Popen(command, env=os.environ | step | dict(SLURM_PROCID=str(task), SLURM_LOCALID=str(task)))
    for task in range(2)
]
open(os.environ["TASKS"], "w").write(" ".join(str(task.pid) for task in tasks))
sys.exit(max(task.wait() for task in tasks))
"""
TOLD = '#!/bin/sh\necho "$(basename "$0") $* cpus=${SRUN_CPUS_PER_TASK-none}" >> "$TOLD"\nexit "${CODE:-0}"\n'


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stand_in(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def submit(folder: Path, code: int, *arguments: str, restarts: int = 0) -> tuple[int, list[str]]:
    """Run slurm.sbatch with stand-ins; return its exit code and what the stand-ins were told."""
    told = folder / "told"
    for name in ("srun", "scontrol"):
        stand_in(folder / "bin", name, TOLD if name == "srun" else TOLD.replace("${CODE:-0}", "0"))
    environ = os.environ | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "TOLD": str(told),
        "CODE": str(code),
        "PYTHON": "PY",
        "SLURM_JOB_ID": "77",
        "SLURM_RESTART_COUNT": str(restarts),
        "SLURM_CPUS_PER_TASK": "8",
    }
    done = subprocess.run(["bash", str(SLURM), *arguments], env=environ, timeout=30)
    return done.returncode, told.read_text().splitlines()


def test_a_saved_job_is_queued_again(tmp_path: Path) -> None:
    code, told = submit(tmp_path, EXIT_SAVED, "hdf/", "model/", "--epochs", "30")
    assert code == EXIT_SAVED
    assert told == [
        "srun --wait=60 PY -m jaxmask.train hdf/ model/ --epochs 30 cpus=8",
        "scontrol requeue 77 cpus=8",
    ]


@pytest.mark.parametrize(("restarts", "words"), [(0, "a b/ model/ --overwrite --seed 1"), (1, "a b/ model/ --seed 1")])
def test_a_job_queued_again_goes_on_with_what_it_has_saved(tmp_path: Path, restarts: int, words: str) -> None:
    _, told = submit(tmp_path, EXIT_SAVED, "a b/", "model/", "--overwrite", "--seed", "1", restarts=restarts)
    assert told[0] == f"srun --wait=60 PY -m jaxmask.train {words} cpus=8"


@pytest.mark.parametrize("code", [0, 1, EXIT_USAGE, 69, 137, 143])
def test_other_ends_are_passed_on(tmp_path: Path, code: int) -> None:
    ended, told = submit(tmp_path, code, "hdf/", "model/")
    assert ended == code
    assert [line.split()[0] for line in told] == ["srun"]


def test_slurm_warns_the_tasks_not_the_script() -> None:
    directives = [line for line in SLURM.read_text().splitlines() if line.startswith("#SBATCH")]
    assert "#SBATCH --signal=USR1@120" in directives  # with B: it would be the script alone
    assert "#SBATCH --requeue" in directives
    assert "--kill-on-bad-exit" not in SLURM.read_text().replace("# Not --kill-on-bad-exit", "")


@pytest.mark.parametrize("script", [SLURM, OPEN_MPI])
def test_shell_scripts_parse(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=10)
    if script == OPEN_MPI:
        assert script.stat().st_mode & stat.S_IXUSR


def run_until_saved(
    command: list[str], shards: Path, model: Path, environ: dict[str, str], ask: Callable[[int], None]
) -> subprocess.CompletedProcess[str]:
    """Train without end, `ask` for a save once the first epoch is done (given the process's id), and wait for it."""
    full = os.environ | {"PYTHON": sys.executable, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_COMPILATION} | environ
    with subprocess.Popen(
        [*command, str(shards), str(model), *FLAGS],
        env=full,
        cwd=LAUNCH.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            deadline = time.monotonic() + FIRST_EPOCH_SECONDS
            while not whole_steps(model / "checkpoints") and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            if process.poll() is None:
                ask(process.pid)
            out, err = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def assert_saved_together(done: subprocess.CompletedProcess[str], model: Path) -> None:
    assert done.returncode == EXIT_SAVED, done.stderr
    assert "2 x cpu in 2 processes" in done.stderr
    assert done.stderr.count(f"{model} is saved up to here") == 1  # the first process speaks for both
    assert whole_steps(model / "checkpoints")
    assert (model / "history.jsonl").exists()


def test_slurm_tasks_train_together_save_and_are_queued_again(tmp_path: Path, free_port: int) -> None:
    shards, model = make_shards(tmp_path / "hdf", 2), tmp_path / "model"
    stand_in(tmp_path / "bin", "srun", SRUN)
    stand_in(tmp_path / "bin", "scontrol", TOLD)
    environ = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TOLD": str(tmp_path / "told"),
        "TASKS": str(tmp_path / "tasks"),
        "FREE_PORT": str(free_port),
        "SLURM_JOB_ID": "77",
    }

    def ask(pid: int) -> None:  # what --signal=USR1@120 does
        for task in (tmp_path / "tasks").read_text().split():
            os.kill(int(task), signal.SIGUSR1)

    assert_saved_together(run_until_saved(["bash", str(SLURM)], shards, model, environ, ask), model)
    assert (tmp_path / "told").read_text().startswith("scontrol requeue 77")


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="needs Open MPI's mpirun (Debian: openmpi-bin)")
def test_open_mpi_processes_train_together_and_save_at_sigterm(tmp_path: Path, free_port: int) -> None:
    shards, model = make_shards(tmp_path / "hdf", 2), tmp_path / "model"
    environ = {
        "PROCESSES": "2",
        "COORDINATOR": f"127.0.0.1:{free_port}",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",  # as in a container
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",  # on a machine of one core
    }
    done = run_until_saved([str(OPEN_MPI)], shards, model, environ, lambda pid: os.kill(pid, signal.SIGTERM))
    assert_saved_together(done, model)


def mpirun_arguments(folder: Path, environ: dict[str, str]) -> list[str]:
    stand_in(folder / "bin", "mpirun", '#!/bin/sh\nprintf "%s\\n" "$@"\n')
    path = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHON": "PY"}
    done = subprocess.run(
        [str(OPEN_MPI), "my hdf/", "model/"],
        env=os.environ | path | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_open_mpi_is_told_the_host_of_process_0(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# ours\n\nnode7 slots=4 # the first\nnode3 slots=4\n")
    told = mpirun_arguments(tmp_path, {"PROCESSES": "8", "HOSTFILE": str(hosts)})
    assert told[:4] == ["--np", "8", "--hostfile", str(hosts)]
    assert "JAX_COORDINATOR_ADDRESS=node7:61234" in told
    assert "--bind-to none" in " ".join(told)
    assert told[-5:] == ["PY", "-m", "jaxmask.train", "my hdf/", "model/"]
    told = mpirun_arguments(tmp_path, {"PROCESSES": "2", "COORDINATOR": "h:9"})
    assert "JAX_COORDINATOR_ADDRESS=h:9" in told
    assert "--hostfile" not in told


def test_open_mpi_needs_a_number_of_processes(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PROCESSES"}
    done = subprocess.run([str(OPEN_MPI), "hdf/", "model/"], env=environ, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "set PROCESSES to the number of processes" in done.stderr


def kubernetes_objects() -> tuple[dict[str, Any], dict[str, Any]]:
    service, job = yaml.safe_load_all(KUBERNETES.read_text())
    return service, job


def test_kubernetes_takes_the_objects() -> None:
    newest = kubernetes_validate.latest_version()
    for written in kubernetes_objects():
        kubernetes_validate.validate(written, newest, strict=True)
    job = kubernetes_objects()[1]
    job["spec"]["podFailurePolicy"]["rules"][0]["onExitCode"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="onExitCode"):
        kubernetes_validate.validate(job, newest, strict=True)


@pytest.mark.quick
def test_pods_find_each_other() -> None:
    service, job = kubernetes_objects()
    pod = job["spec"]["template"]["spec"]
    assert (job["kind"], job["spec"]["completionMode"]) == ("Job", "Indexed")
    (container,) = pod["containers"]
    given = {variable["name"]: variable["value"] for variable in container["env"]}
    launch = choose_launch(given | {"JOB_COMPLETION_INDEX": "2"})  # which Kubernetes sets in an indexed job
    # an indexed job's pod is JOB-INDEX of the headless service that its subdomain names
    assert launch.coordinator == f"{job['metadata']['name']}-0.{pod['subdomain']}:1234"
    assert (launch.by, launch.processes, launch.process) == ("kubernetes", job["spec"]["completions"], 2)
    assert job["spec"]["parallelism"] == job["spec"]["completions"]  # all must run at once
    assert (service["metadata"]["name"], service["spec"]["clusterIP"]) == (pod["subdomain"], "None")
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert service["spec"]["publishNotReadyAddresses"] is True  # no pod is ready before all have joined


def test_pods_are_started_again_unless_a_flag_is_wrong() -> None:
    job = kubernetes_objects()[1]
    rules = {rule["action"]: rule["onExitCodes"]["values"] for rule in job["spec"]["podFailurePolicy"]["rules"][:2]}
    assert rules == {"FailJob": [EXIT_USAGE, EXIT_SOME_FAILED], "Ignore": [EXIT_SAVED]}
    assert job["spec"]["podFailurePolicy"]["rules"][2]["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert job["spec"]["podReplacementPolicy"] == "Failed"  # the only one that goes with podFailurePolicy
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # likewise
    assert pod["terminationGracePeriodSeconds"] >= 60
    assert job["spec"]["backoffLimit"] >= 4 * job["spec"]["completions"]
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert json.dumps(job).count("jaxmask-data") == 1
