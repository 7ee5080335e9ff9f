"""The headline cards: oracles are worded by hand from the numbers of run_folder.py and run_evaluation.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jaxmask import report_cards as cards
from jaxmask.report import ReportConfig, places
from jaxmask.report_inputs import read_run
from jaxmask.report_numbers import MINUS, Card
from jaxmask.run_record import Run
from tests.run_folder import inference_record, write_model, write_statistics


def _run(folder: Path) -> Run:
    """A run of the statistics and the model alone."""
    (folder / "predictions").mkdir(parents=True)
    write_model(folder / "model", ["a", "b", "c"], ["d", "e", "f"])
    write_statistics(folder / "predictions", ["a", "b", "c"], ["d", "e", "f"])
    return read_run(places(ReportConfig(folder)))


def _shown(found: tuple[Card, ...]) -> dict[str, tuple[str, str, str]]:
    return {card.label: (card.value.text or f"none: {card.value.reason}", card.unit, card.note) for card in found}


@pytest.mark.quick
def test_agreement_and_accuracy_each_with_what_was_counted(tmp_path: Path) -> None:
    """7230 of 9000 agree; 3810 of 3810 + 840 + 930 are cloud in both; 4740 of the label are cloud; 7470, 7620 right."""
    shown = _shown(cards.score_cards(_run(tmp_path)))
    counted = "9,000 held-out pixels of 3 products"
    assert shown == {
        "Agreement with Bayes": ("80.3", "%", f"always the commoner class: 52.7 %; {counted}"),
        "IoU with Bayes": (
            "68.3",
            "%",
            f"intersection over union of cloud; all called cloud: 52.7 %; {counted}",
        ),
        "Accuracy of U-Net": ("83.0", "%", f"against the hidden truth; {counted}"),
        "Accuracy of Bayes": ("84.7", "%", f"against the hidden truth; {counted}"),
    }


def test_the_word_accuracy_needs_truth(tmp_path: Path) -> None:
    run = _run(tmp_path)
    assert run.evaluation is not None
    records = [record for record in run.evaluation["records"] if record["against"] == "label"]
    without = Run(**{**vars(run), "evaluation": {"records": records}})
    found = cards.score_cards(without)
    assert [card.label for card in found] == ["Agreement with Bayes", "IoU with Bayes"]
    assert not any("ccuracy" in card.label + card.note for card in found)
    assert found[0].note.endswith("; 9,000 held-out pixels"), "products unknown"


def _statistic(mask: str, **more: Any) -> dict[str, Any]:
    return {"mask": mask, "algorithm": "D2", "time_of_day": "day", "count": 10, "coverage": 0.5, "median": 0.1,
            "rsd": 0.3, "scenes": 12} | more  # fmt: skip


def _pair(low: float, high: float, **more: Any) -> dict[str, Any]:
    pair = {"mask": "unet", "minus": "bayes", "at": "native", "algorithm": "D2", "time_of_day": "day", "scenes": 12}
    bounds = {"differences": {"rsd": (low + high) / 2}, "intervals": {"rsd": [low, high]}}
    return pair | {"eligible": 20} | bounds | more


def test_rsd_and_its_difference_with_intervals() -> None:
    records = (_statistic("bayes", intervals={"rsd": [0.28, 0.33]}), _statistic("unet", intervals={"rsd": [0.2, 0.4]}))
    others = (_pair(0.5, 0.7, at="equal_coverage"), _pair(0.5, 0.7, minus="bayes_half"), _pair(5, 7, algorithm="N2"))
    shown = _shown(cards.sst_cards(records, (*others, _pair(-0.03, 0.01))))
    assert shown == {
        "SST RSD, clear by Bayes": (
            "0.300", "K", "D2, 10 match-ups; 95 % interval 0.280 to 0.330 K, 12 scenes resampled"
        ),
        "SST RSD, clear by U-Net": (
            "0.300", "K", "D2, 10 match-ups; 95 % interval 0.200 to 0.400 K, 12 scenes resampled"
        ),
        "SST RSD, U-Net minus Bayes": (
            f"{MINUS}0.010",
            "K",
            f"D2, 20 match-ups eligible; below 0 the U-Net is better; 95 % interval {MINUS}0.030 to 0.010 K, 12 scenes "
            "resampled; it holds 0: no difference shown",
        ),
    }  # fmt: skip
    worse = cards.sst_cards(records, (_pair(0.01, 0.03),))[-1]
    assert worse.value.text == "+0.020"
    assert worse.note.endswith("; 0 lies outside")


def test_why_there_is_no_interval_is_said() -> None:
    why = {"intervals": None, "no_interval_because": "6 scenes with rows, fewer than 10"}
    shown = _shown(cards.sst_cards((_statistic("unet", **why),), (_pair(0.1, 0.3, **why),)))
    for _, _, note in shown.values():
        assert note.endswith("no interval: 6 scenes with rows, fewer than 10")
    old = _shown(cards.sst_cards((_statistic("unet"),)))
    assert old == {"SST RSD, clear by U-Net": ("0.300", "K", "D2, 10 match-ups")}, "an older file doesn't say"


def test_undefined_statistics_give_their_reason() -> None:
    none = _pair(0, 0, differences={"rsd": None}, intervals={"rsd": [None, None]})
    record = _statistic("unet", count=4, rsd=None, intervals={"rsd": [None, None]})
    shown = _shown(cards.sst_cards((record,), (none,)))
    assert shown["SST RSD, clear by U-Net"][0] == "none: none kept"
    assert shown["SST RSD, U-Net minus Bayes"][0] == "none: none kept"


def test_speed_is_the_median_epoch_after_the_first(tmp_path: Path) -> None:
    run = _run(tmp_path)
    rates = [(1.0, None), (10.0, 0.1), (30.0, 0.3), (20.0, None)]
    history = tuple(
        {"epoch": i, "train": {}, "test": None, "train_seconds": 2.0, "validation_seconds": 0.5, "test_seconds": None,
         "patches_per_second": rate, "wait_share": wait}
        for i, (rate, wait) in enumerate(rates, start=1)
    )  # fmt: skip
    shown = _shown(cards.speed_cards(Run(**{**vars(run), "history": history})))
    assert shown["Training speed"] == (
        "20.0",
        "patches/s",
        "median epoch after the first; 20.0 % of it waiting for data",
    )
    assert shown["Training time"] == ("10", "s", "4 epochs, testing included"), "4 of 2 and 0.5 s"
    old = {"epoch": 1, "train": {}, "test": None, "train_seconds": 3.0, "test_seconds": 1.0, "patches_per_second": 6.0}
    shown = _shown(cards.speed_cards(Run(**{**vars(run), "history": (old,)})))
    assert shown["Training speed"][2] == "one epoch, compilation included; waiting not recorded"
    assert shown["Training time"] == ("4", "s", "1 epoch, testing included")


def test_inference_is_the_rate_of_all_its_processes(tmp_path: Path) -> None:
    run = _run(tmp_path)
    shown = _shown(cards.speed_cards(Run(**{**vars(run), "history": ()})))
    note = "6 masks in 12.0 s, loading, reading and writing included; 0.05 megapixels/s; jax float32 on 1 x cpu"
    assert shown == {"Inference speed": ("30.0", "products/min", note)}
    two = (inference_record(0, 2), inference_record(1, 2, masks=1, pixels=60_000, seconds=6.0))
    [(value, _, note)] = _shown(cards.speed_cards(Run(**{**vars(run), "history": (), "inference": two}))).values()
    assert (value, note.partition(" s,")[0]) == ("40.0", "7 masks in 12.0"), "30 a minute and 10"
    assert note.endswith("; 0.06 megapixels/s; jax float32 on 1 x cpu in each of 2 processes")


def test_products_and_their_split(tmp_path: Path) -> None:
    run = _run(tmp_path)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["split"]["validation"] = ["g"]
    shown = _shown(cards.data_cards(Run(**{**vars(run), "config": config})))
    assert shown["Trained on"] == ("3", "products", "3 held out for testing, 1 for validation")
    assert shown["Products"][0] == "none: not converted yet"
