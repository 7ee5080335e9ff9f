"""--profile traces the steps that it should, says where, and never disturbs a training."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from jaxmask import tracing
from jaxmask.programs import Programs
from jaxmask.tracing import traced


def programs() -> Programs:
    """A state that counts its steps."""
    count = jax.jit(lambda state: state + 1)
    return Programs(
        init=lambda: jnp.zeros((), jnp.int32),
        train=lambda state, batch: (count(state), count(state)),
        test=lambda state, batch: (state, state),
        finite=lambda state: state == state,
        vote=jnp.int32,
    )  # type: ignore[arg-type]


def run(folder: Path, steps: int, epochs: list[tuple[int, int]]) -> int:
    """Train and test so many steps in each epoch; return the state's count."""
    with traced(programs(), folder, steps) as watched:
        state: Any = watched.init()
        for train, test in epochs:
            for _ in range(train):
                state, _ = watched.train(state, None)
            for _ in range(test):
                state, _ = watched.test(state, None)
    return int(state)


def traced_steps(folder: Path) -> list[int]:
    """The numbers of the steps in the one trace there is."""
    (file,) = folder.rglob("*.trace.json.gz")
    events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    return sorted({int(event["args"]["step_num"]) for event in events if event.get("name") == tracing.STEP_NAME})


@pytest.mark.quick
@pytest.mark.parametrize(
    ("steps", "epochs", "expected"),
    [
        (2, [(6, 1), (6, 1)], [3, 4]),
        (9, [(6, 1), (6, 1)], [3, 4, 5, 6]),  # to the end of the epoch's training
        (2, [(2, 1), (6, 1)], [3, 4]),  # the first epoch is too short
        (9, [(4, 0)], [3, 4]),  # to the end of the run
    ],
)
def test_the_third_step_and_those_after_it_are_traced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, steps: int, epochs: list[tuple[int, int]], expected: list[int]
) -> None:
    caplog.set_level("INFO")
    assert run(tmp_path, steps, epochs) == sum(train for train, _ in epochs)
    assert traced_steps(tmp_path) == expected
    (record,) = caplog.records
    assert record.message.startswith(f"steps 3 to {expected[-1]} of this run are traced in {tmp_path}: drag its newest")


def test_too_few_steps_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(tmp_path, 5, [(2, 1)]) == 2
    assert [record.message for record in caplog.records] == [
        "--profile: this run had 2 training steps, so nothing is traced"
    ]
    assert not list(tmp_path.iterdir())


def test_none_are_traced_without_the_flag_or_on_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, 0, [(5, 1)]) == 5
    monkeypatch.setattr(tracing, "is_first", lambda: False)
    assert run(tmp_path, 2, [(5, 1)]) == 5
    assert not list(tmp_path.iterdir())


def test_an_error_ends_the_trace_and_passes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="lost"), traced(programs(), tmp_path, 9) as watched:  # noqa: PT012
        state: Any = watched.init()
        for _ in range(4):
            state, _ = watched.train(state, None)
        raise ValueError("lost")
    assert traced_steps(tmp_path) == [3, 4]
    with pytest.raises(ValueError, match="at once"), traced(programs(), tmp_path, 9):
        raise ValueError("at once")
    assert not caplog.records  # of warnings


@pytest.mark.parametrize("function", ["start_trace", "stop_trace"])
def test_a_trace_that_fails_is_warned_of_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError("Only one profile may be run at a time.")

    monkeypatch.setattr(
        jax.profiler, "start_trace" if function == "stop_trace" else "stop_trace", lambda *_, **__: None
    )
    monkeypatch.setattr(jax.profiler, function, fail)
    assert run(tmp_path, 2, [(6, 1)]) == 6
    what = "begun" if function == "start_trace" else "written"
    assert [record.message for record in caplog.records] == [
        f"--profile: the trace can't be {what} (RuntimeError: Only one profile may be run at a time.); training goes on"
    ]
