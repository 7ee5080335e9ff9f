"""The log is in MLPerf's format by MLPerf's own parser and rules, and says what was trained and when."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mlperf_logging.compliance_checker import mlp_compliance, mlp_parser

from jaxmask import mlperf_log
from jaxmask.audience import Audience
from jaxmask.config import TrainConfig, to_json
from jaxmask.mlperf_log import MlperfLog, remove_torn_line
from jaxmask.mlperf_settings import Submission, submission_of, submission_settings, task_settings
from jaxmask.observers import Beginning, Passing
from tests.observations import BEGINNING, line

SUBMISSION = Submission("Hartree", "open", "research", "machine 2")
RULES = Path(mlp_compliance.__file__).parent


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that advances by a second each time it is read, by us or by the package."""
    ticks = iter(range(1000, 2000))
    monkeypatch.setattr("time.time", lambda: float(next(ticks)))


def write(
    path: Path, beginning: Beginning = BEGINNING, epochs: Sequence[int] = (1, 2), status: str = "success"
) -> None:
    """The log of a training of these epochs, each with a test."""
    log = MlperfLog(path, SUBMISSION)
    log.load()
    log.begin(beginning)
    for epoch in epochs:
        log.passing(Passing(epoch, "train", 0))
        log.passing(Passing(epoch, "test", 0))
        log.epoch(line(epoch))
    log.end(status)


def parse(path: Path) -> list[Any]:
    lines, errors = mlp_parser.parse_file(path, ruleset="3.0.0")
    assert not errors
    return list(lines)


def found(path: Path, key: str) -> list[Any]:
    return [entry.value["value"] for entry in parse(path) if entry.key == key]


def broken_rules(path: Path, rules: str) -> list[str]:
    """What MLPerf's checker complains of; without the rules that are kept benchmark by benchmark."""
    checker = mlp_compliance.make_checker("hpc", "3.0.0", quiet=False, werror=True)
    checker.configured_checks(parse(path), str(RULES / rules))
    mlp_compliance.enqueued_configs.clear()
    return [*checker.overwritable.values(), *checker.not_overwritable]


@pytest.mark.quick
def test_the_log_keeps_the_rules_of_mlperf_hpc(tmp_path: Path) -> None:
    write(tmp_path / "log")
    assert broken_rules(tmp_path / "log", "hpc_3.0.0/common.yaml") == []
    # The benchmark is of MLCommons Science, which has no rules there.
    (name,) = broken_rules(tmp_path / "log", "hpc_3.0.0/open_common.yaml")
    assert name.startswith("CHECK for 'submission_benchmark' failed")
    assert broken_rules(tmp_path / "log", "hpc_3.0.0/open_deepcam.yaml") == [
        "Failed checks for eval_accuracy : v['value'] >= 0.82 and v['value'] <= 1."
    ]


def test_a_log_that_breaks_a_rule_would_be_seen(tmp_path: Path) -> None:
    write(tmp_path / "log")
    text = (tmp_path / "log").read_text().splitlines(keepends=True)
    (tmp_path / "log").write_text("".join(entry for entry in text if '"run_stop"' not in entry))
    (message,) = broken_rules(tmp_path / "log", "hpc_3.0.0/common.yaml")
    assert "Required EXACTLY_ONE occurrence of 'run_stop' but found 0" in message


def test_intervals_follow_each_other_in_time(tmp_path: Path) -> None:
    write(tmp_path / "log")
    entries = parse(tmp_path / "log")
    keys = [entry.key for entry in entries if entry.key.endswith(("start", "stop"))]
    epoch = ["epoch_start", "epoch_stop", "eval_start", "eval_stop"]
    assert keys == [
        "init_start", "init_stop", "run_start", "staging_start", "staging_stop", *epoch, *epoch, "run_stop",
    ]  # fmt: skip
    times = [entry.timestamp for entry in entries]
    assert times == sorted(times)
    at = {entry.key: entry.timestamp for entry in reversed(entries)}
    # Ticks: made, told of loading, told of the beginning.
    assert (at["init_start"], at["run_start"], at["staging_stop"]) == (1000e3, 1001e3, 1002e3)


def test_each_epoch_has_its_accuracy_and_throughput(tmp_path: Path) -> None:
    write(tmp_path / "log")
    accuracies = [entry for entry in parse(tmp_path / "log") if entry.key == "eval_accuracy"]
    assert [(entry.value["value"], entry.value["metadata"]["epoch_num"]) for entry in accuracies] == [
        (0.75, 1), (0.75, 2),
    ]  # fmt: skip
    assert [entry.value["metadata"]["samples_count"] for entry in accuracies] == [24, 48]
    first, second = found(tmp_path / "log", "tracked_stats")
    assert (first["throughput"], second["throughput"]) == (100.0, 200.0)
    assert second == {
        "throughput": 200.0, "wait_share": 0.25,
        "train_loss": 0.5, "train_accuracy": 0.75, "train_f1": 0.6, "train_iou": 0.4,
        "test_loss": 1.5, "test_accuracy": 0.75, "test_f1": 0.6, "test_iou": 0.4,
    }  # fmt: skip


def test_validation_is_evaluation_too(tmp_path: Path) -> None:
    log = MlperfLog(tmp_path / "log", SUBMISSION)
    log.begin(BEGINNING._replace(validation_patches=12, test_patches=0))
    for part in ("train", "validation", "test"):
        log.passing(Passing(1, part, 0))  # type: ignore[arg-type]
    log.epoch(line(1, validation=True))
    log.end("success")
    keys = [entry.key for entry in parse(tmp_path / "log")]
    assert keys.count("eval_start") == keys.count("eval_stop") == 1
    (accuracy,) = [entry for entry in parse(tmp_path / "log") if entry.key == "eval_accuracy"]
    assert accuracy.value["metadata"]["part"] == "validation"
    assert found(tmp_path / "log", "eval_samples") == [12]


@pytest.mark.parametrize(("status", "said"), [("success", "success"), ("aborted", "aborted"), ("stopped", "aborted")])
def test_the_end_says_how_it_went(tmp_path: Path, status: str, said: str) -> None:
    write(tmp_path / "log", status=status)
    last = parse(tmp_path / "log")[-1]
    assert (last.key, last.value["metadata"]["status"]) == ("run_stop", said)
    assert last.value["metadata"].get("reason") == ("stopped on request" if status == "stopped" else None)


def test_a_run_that_goes_on_appends_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, epochs=[1])
    before = path.read_bytes()
    path.write_bytes(before + b':::MLLOG {"namespace": "", "time_')  # killed while writing
    write(path, BEGINNING._replace(epochs_done=1, steps_done=4), epochs=[2])
    assert path.read_bytes().startswith(before)
    # MLPerf's parser would skip what stands before a line; others read every line.
    assert all(json.loads(entry.removeprefix(":::MLLOG ")) for entry in path.read_text().splitlines())
    assert [len(found(path, key)) for key in ("run_start", "epoch_start", "run_stop")] == [2, 2, 2]
    goes_on = [entry.value["metadata"] for entry in parse(path) if entry.key == "run_start"][1]
    assert (goes_on["epochs_done"], goes_on["steps_done"]) == (1, 4)


def test_a_run_with_nothing_to_do_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "log", epochs=[])
    log = MlperfLog(tmp_path / "log", SUBMISSION)
    log.end("aborted")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(("content", "left"), [(b"", b""), (b"a\nb", b"a\n"), (b"a\nb\n", b"a\nb\n"), (b"ab", b"")])
def test_what_follows_the_last_line_is_cut_off(tmp_path: Path, content: bytes, left: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    remove_torn_line(tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == left


def test_a_line_that_can_not_be_written_is_the_audiences_to_tell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fill(handler: logging.Handler, record: logging.LogRecord) -> None:
        raise OSError(28, "No space left on device")

    log = MlperfLog(tmp_path / "log", SUBMISSION)
    audience = Audience([log])
    audience.begin(BEGINNING)
    audience.passing(Passing(1, "train", 0))
    monkeypatch.setattr(mlperf_log._Lines, "format", fill)
    for _ in range(2):
        audience.epoch(line(1))
    assert [record.message for record in caplog.records] == [
        "MlperfLog fails at epoch (OSError: [Errno 28] No space left on device); training goes on without it"
    ]
    assert capsys.readouterr() == ("", "")
    log.close()


def test_settings_are_those_of_the_flags() -> None:
    settings = dict(task_settings(BEGINNING))
    plain = {
        "seed": 42, "global_batch_size": 64, "train_samples": 24, "eval_samples": 6, "opt_name": "adam",
        "opt_base_learning_rate": 0.001, "opt_adam_beta_1": 0.9, "opt_adam_beta_2": 0.999, "opt_adam_epsilon": 1e-7,
        "opt_weight_decay": 0.0, "gradient_accumulation_steps": 1, "opt_learning_rate_decay_schedule": "constant",
        "opt_learning_rate_warmup_steps": 0, "opt_learning_rate_training_steps": 6,
    }  # fmt: skip
    assert {name: settings[name] for name in plain} == plain
    assert not {"opt_gradient_clip_norm", "model_eval_ema_factor"} & settings.keys()
    config = TrainConfig(
        epochs=4, seed=7, scale_learning_rate=True, schedule="cosine", warmup_epochs=0.5, clip_norm=2.0, ema=0.99,
        accumulate=4, precision="bfloat16",
    )  # fmt: skip
    rich = dict(task_settings(BEGINNING._replace(flags=to_json(config), epochs=4)))
    expected = {
        "seed": 7, "opt_base_learning_rate": 0.002, "opt_learning_rate_decay_schedule": "cosine",
        "opt_learning_rate_warmup_epochs": 0.5, "opt_learning_rate_warmup_steps": 2,
        "opt_learning_rate_training_steps": 12, "opt_gradient_clip_norm": 2.0, "model_eval_ema_factor": 0.99,
        "gradient_accumulation_steps": 4, "lowest_numerical_precision_in_linear": "bfloat16",
    }  # fmt: skip
    assert {name: rich[name] for name in expected} == expected


def test_whose_submission_it_is_comes_from_the_benchmarks_file() -> None:
    said = {"organisation": "Hartree", "division": "closed", "status": "onprem", "platform": "machine 2"}
    assert submission_of(said) == Submission("Hartree", "closed", "onprem", "machine 2")
    assert submission_of({"submission": said, "platform": "machine 3"}).platform == "machine 3"
    assert submission_of({"submission": None, "status": None}) == Submission()
    settings = dict(submission_settings(Submission(), BEGINNING))
    assert json.dumps(settings) == json.dumps(
        {
            "submission_benchmark": "cloudmask", "submission_org": "unspecified", "submission_division": "open",
            "submission_status": "research", "submission_platform": "8 x NVIDIA H100",
            "number_of_nodes": 2, "accelerators_per_node": 4, "number_of_ranks": 8,
        }
    )  # fmt: skip
