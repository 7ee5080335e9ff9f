"""What an inference records of its own speed, and which records are of the last run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import pytest

from jaxmask.inference_record import latest_run, write_inference
from jaxmask.launch_choice import Launch
from jaxmask.report_forms import check_inference
from tests.run_folder import inference_record

ALONE = Launch("flags", None, 1, 0)
MADE = {"masks": 3, "pixels": 30_000, "seconds": 1.23456}


def test_a_record_says_what_how_fast_and_by_what(tmp_path: Path) -> None:
    write_inference(tmp_path, ALONE, **MADE, backend="jax", precision="bfloat16")
    record = json.loads((tmp_path / "inference.json").read_text())
    check_inference("it", record)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record.pop("finished"))
    assert record == {
        "masks": 3, "pixels": 30_000, "seconds": 1.235, "backend": "jax", "precision": "bfloat16", "device": "cpu",
        "devices": jax.local_device_count(), "process": 0, "processes": 1,
    }  # fmt: skip


def test_each_process_has_its_own_and_openvino_is_one_device(tmp_path: Path) -> None:
    write_inference(tmp_path, Launch("flags", None, 4, 2), **MADE, backend="openvino", precision="float32")
    assert [path.name for path in tmp_path.iterdir()] == ["inference.2.json"]
    record = json.loads((tmp_path / "inference.2.json").read_text())
    assert (record["process"], record["processes"], record["device"], record["devices"]) == (2, 4, "cpu", 1)


def test_a_record_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "inference.json" / "x").mkdir(parents=True)
    write_inference(tmp_path, ALONE, **MADE, backend="jax", precision="float32")
    [told] = caplog.messages
    assert str(tmp_path / "inference.json") in told
    assert told.endswith("; the report will not tell how long the masks took")


def test_the_last_run_is_of_all_records_with_as_many_processes() -> None:
    old = inference_record(0, 1)
    two = [inference_record(number, 2, finished=f"2026-11-24T0{number}:00:00Z") for number in (1, 0)]
    assert latest_run([two[0], old, two[1]]) == (two[1], two[0])
    assert latest_run([]) == ()
