"""The sst command: counts by hand on a table of a few rows, files whole, messages that help."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from jaxmask.image_points import cloud_at
from jaxmask.mask_samples import sample_masks
from jaxmask.maskfile import Mask, write_mask
from jaxmask.matchup_table import read_table
from jaxmask.sst import SstConfig, main
from jaxmask.sst_lines import excluded_text, paired_lines, statistics_lines
from preprocess.command import run
from preprocess.errors import UserError

HEIGHT, WIDTH = 6, 8


def table(products: list[str], rows: list[int], columns: list[int]) -> pd.DataFrame:
    """D2 rows that pass every filter; the satellite is 0.1, 0.2, 0.3, ... K too warm."""
    count = len(products)
    constants = {"SLAT": 1.0, "SLON": 2.0, "latitude_an": 1.0, "longitude_an": 2.0, "SATZAN": 3.0, "SATZAO": 55.0}
    constants |= {"ISST": 10.0, "quality_level": 5, "sst_algorithm_type": 4, "bayes_in": 0, "pcloudn": 0.0}
    constants |= {"pcloudo": 0.0, "sat_sst_0": -1.0, "sat_sst_1": -1.0, "sat_sst_3": -1.0}
    frame = pd.DataFrame({name: [value] * count for name, value in constants.items()})
    return frame.assign(
        sat_sst_2=283.15 + 0.1 * np.arange(1, count + 1),
        cems_path=[f"/neodc/{name}.SEN3" for name in products],
        y_cems=rows,
        x_cems=columns,
    )


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, Path]:
    """Masks A (clear but for pixel 0, 1) and B (cloud, invalid at 1, 1), C only in the table; all as CSV."""
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    clear = np.full((HEIGHT, WIDTH), 0.25, np.float32)
    clear[0, 1] = 0.75
    valid = np.ones((HEIGHT, WIDTH), bool)
    write_mask(predictions / "A.h5", Mask("A", clear, valid))
    invalid = valid.copy()
    invalid[1, 1] = False
    write_mask(predictions / "B.h5", Mask("B", np.full((HEIGHT, WIDTH), 0.9, np.float32), invalid, {"threshold": 0.95}))
    frame = table(["A", "A", "A", "B", "B", "C", "A"], [0, 0, 5, 2, 1, 0, 6], [0, 1, 7, 2, 1, 0, 0])
    frame.to_csv(path := tmp_path / "matchups.csv", index=False)
    return path, predictions


@pytest.mark.quick
def test_counts_by_hand(archive: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    path, predictions = archive
    assert run("jaxmask.sst", SstConfig, main, [str(path), str(predictions)]) == 0
    results = json.loads((predictions / "sst.json").read_text())
    expected = {"without_mask": 1, "outside_mask": 1, "invalid_pixel": 1}
    assert {reason: count for reason, count in results["excluded"].items() if count} == expected
    records = {(r["mask"], r["algorithm"]): r for r in results["statistics"]}
    assert len(records) == 4 * 5 + 2  # unet_bayes_oblique for dual views alone
    # decided: rows 0, 1, 2 of A, row 3 of B, differences .1 .2 .3 .4; row 1 is cloud, B's 0.9 is below its own 0.95
    none, unet = records["none", "D2"], records["unet", "D2"]
    assert (none["count"], none["eligible"], none["coverage"]) == (4, 4, 1.0)
    assert (unet["count"], unet["coverage"]) == (3, 0.75)
    assert (none["median"], unet["median"]) == (pytest.approx(0.25), pytest.approx(0.3))
    assert unet["rsd"] == pytest.approx(1.4826 * 0.1)
    empty = {"count": 0, "eligible": 0, "coverage": None, "median": None, "rsd": None, "time_of_day": "day"}
    assert records["unet", "N2"].items() >= empty.items()
    reference = results["reference"]
    assert (reference["rows"], reference["rows_after_filters"], reference["rows_with_mask"]) == (7, 7, 5)
    printed = capsys.readouterr().err
    assert "1 match-ups lie beyond their mask's pixels" in printed
    assert re.search(r"\n  unet +3 +75\.0 +0\.300 +0\.148 +0\.0\n", printed)
    assert "D2 by day: 4 eligible match-ups in 2 scenes\n  no intervals: 2 scenes with rows, fewer than 10\n" in printed
    tables = [line for line in printed.splitlines() if not line.startswith(("warning:", "y_cems"))][:-1]
    assert max(map(len, tables)) <= 80
    assert printed.splitlines()[-1].startswith("7 match-ups, 2 masks; rows without a decision: 1 without mask")


def test_kept_rows_are_a_pandas_table(archive: tuple[Path, Path]) -> None:
    path, predictions = archive
    assert run("jaxmask.sst", SstConfig, main, [str(path), str(predictions), "--quiet"]) == 0
    kept = pd.read_hdf(predictions / "sst_predictions.h5")
    assert kept["cems_path"].tolist() == [f"/neodc/{name}.SEN3" for name in "AAABB"]
    np.testing.assert_allclose(kept["model_mask"], [0.25, 0.75, 0.25, 0.9, 0.9], rtol=1e-7)  # float32 in the files
    assert kept["in_reference"].tolist() == [True] * 5
    assert kept["time_of_day"].tolist() == ["day"] * 5
    assert (kept["mask_row"].tolist(), kept["mask_column"].tolist()) == ([0, 0, 5, 2, 1], [0, 1, 7, 2, 1])
    assert kept["in_statistics"].tolist() == [True, True, True, True, False]
    with h5py.File(predictions / "sst_predictions.h5") as file:
        assert "model_mask" in file["data/table"].dtype.names
    again = read_table(predictions / "sst_predictions.h5")
    np.testing.assert_array_equal(again["sat_sst_2"], kept["sat_sst_2"])


def test_one_threshold_for_all_masks(archive: tuple[Path, Path]) -> None:
    path, predictions = archive
    arguments = [str(path), str(predictions), "--threshold", "0.5", "--quiet"]
    assert run("jaxmask.sst", SstConfig, main, arguments) == 0
    records = json.loads((predictions / "sst.json").read_text())["statistics"]
    assert [r["count"] for r in records if (r["mask"], r["algorithm"]) == ("unet", "D2")] == [2]


def test_json_goes_alone_to_stdout(archive: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    path, predictions = archive
    assert run("jaxmask.sst", SstConfig, main, [str(path), str(predictions), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows_written"] == 5


def test_no_matchup_names_a_mask(archive: tuple[Path, Path], tmp_path: Path) -> None:
    _, predictions = archive
    table(["X", "Y"], [0, 0], [0, 0]).to_csv(path := tmp_path / "other.csv", index=False)
    wanted = r"no match-up names a mask: the table names X \(2 in all\), .*predictions holds A \(2 in all\)"
    with pytest.raises(UserError, match=wanted):
        main(SstConfig(matchups=path, predictions=predictions))
    assert not (predictions / "sst.json").exists()


def test_a_broken_mask_is_named_and_the_rest_go_on(archive: tuple[Path, Path]) -> None:
    path, predictions = archive
    (predictions / "B.h5").write_bytes(b"not HDF5")
    assert run("jaxmask.sst", SstConfig, main, [str(path), str(predictions)]) == 3
    results = json.loads((predictions / "sst.json").read_text())
    assert results["excluded"]["mask_unreadable"] == 2
    assert [r["count"] for r in results["statistics"] if (r["mask"], r["algorithm"]) == ("none", "D2")] == [3]
    [failure] = json.loads((predictions / "sst_failures.json").read_text())
    assert failure["item"] == "B.h5"


def test_nothing_kept_leaves_no_table_of_rows(archive: tuple[Path, Path]) -> None:
    path, predictions = archive
    (predictions / "sst_predictions.h5").touch()
    pd.read_csv(path).assign(quality_level=3).to_csv(path, index=False)
    assert run("jaxmask.sst", SstConfig, main, [str(path), str(predictions), "--quiet"]) == 0
    assert not (predictions / "sst_predictions.h5").exists()
    assert json.loads((predictions / "sst.json").read_text())["reference"]["agreement"] is None


FLAGS = [("--threshold", "1.5"), ("--bayes-threshold", "0"), ("--bootstrap", "39"), ("--seed", "-1")]


@pytest.mark.parametrize(("flag", "value"), FLAGS)
def test_flags_are_checked(
    archive: tuple[Path, Path], flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, predictions = archive
    assert run("jaxmask.sst", SstConfig, main, [str(path), str(predictions), flag, value]) == 2
    assert f"{flag} must be" in capsys.readouterr().err


def test_each_row_reads_its_own_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    images = {name: rng.random((HEIGHT, WIDTH), np.float32) for name in "PQR"}
    for name, image in images.items():
        write_mask(tmp_path / f"{name}.h5", Mask(name, image, np.ones(image.shape, bool)))
    products = rng.choice(list("PQR"), 200).tolist()
    rows, columns = rng.integers(0, HEIGHT, 200).tolist(), rng.integers(0, WIDTH, 200).tolist()
    table(products, rows, columns).to_csv(tmp_path / "t.csv", index=False)
    columns_of_table = read_table(tmp_path / "t.csv")
    samples = sample_masks(columns_of_table, sorted(tmp_path.glob("*.h5")))
    expected = [images[name][y, x] for name, y, x in zip(products, rows, columns, strict=True)]
    np.testing.assert_array_equal(samples.value, np.array(expected, np.float64))
    cloud, known = cloud_at({name: images[name] > 0.5 for name in "PQ"}.get, columns_of_table)
    np.testing.assert_array_equal(known, [name != "R" for name in products])
    np.testing.assert_array_equal(cloud[known], np.array(expected)[known] > 0.5)


def many_scenes(folder: Path, scenes: int = 12) -> tuple[Path, Path]:
    """So many masks, half clear, and ten match-ups of each, of D2 though N2 is there too."""
    rng = np.random.default_rng(3)
    predictions = folder / "p"
    predictions.mkdir()
    half = np.full((HEIGHT, WIDTH), 0.9, np.float32)
    half[:, : WIDTH // 2] = 0.1
    names = [f"P{number:02d}" for number in range(scenes)]
    for name in names:
        write_mask(predictions / f"{name}.h5", Mask(name, half, np.ones(half.shape, bool)))
    rows, columns = rng.integers(0, HEIGHT, 10 * scenes), rng.integers(0, WIDTH, 10 * scenes)
    frame = table(names * 10, rows.tolist(), columns.tolist())
    noise = rng.normal(-0.2, 0.3, (2, len(frame)))
    frame = frame.assign(sat_sst_0=283.15 + noise[0], sat_sst_2=283.15 + noise[1])
    frame.to_csv(path := folder / "m.csv", index=False)
    return path, predictions


def test_select_all_judges_every_retrieval_on_its_rows(tmp_path: Path) -> None:
    path, predictions = many_scenes(tmp_path)
    found = {}
    for select in ("type", "all"):
        arguments = [str(path), str(predictions), "--select", select, "--bootstrap", "0", "--quiet"]
        assert run("jaxmask.sst", SstConfig, main, arguments) == 0
        records = json.loads((predictions / "sst.json").read_text())["statistics"]
        found[select] = {r["algorithm"]: r["eligible"] for r in records if r["mask"] == "none"}
    assert found == {"type": {"N2": 0, "N3": 0, "D2": 120, "D3": 0}, "all": {"N2": 120, "N3": 0, "D2": 120, "D3": 0}}


def test_intervals_repeat_with_their_seed_and_stand_in_the_csv(tmp_path: Path) -> None:
    path, predictions = many_scenes(tmp_path)
    found = []
    for seed in ("1", "1", "2"):
        arguments = [str(path), str(predictions), "--bootstrap", "60", "--seed", seed, "--quiet"]
        assert run("jaxmask.sst", SstConfig, main, arguments) == 0
        found.append((predictions / "sst.json").read_text())
    assert found[0] == found[1] != found[2]
    results = json.loads(found[2])
    assert (results["settings"]["replicates"], results["settings"]["seed"]) == (60, 2)
    [record] = [r for r in results["statistics"] if (r["mask"], r["algorithm"]) == ("unet", "D2")]
    low, high = record["intervals"]["median"]
    assert low < record["median"] < high
    frame = pd.read_csv(predictions / "sst.csv")
    [row] = frame[(frame.part == "statistics") & (frame["mask"] == "unet") & (frame.algorithm == "D2")].to_dict(
        "records"
    )
    assert (row["median"], row["median_low"], row["median_high"], row["count"]) == (
        record["median"],
        low,
        high,
        record["count"],
    )
    assert set(frame.part) == {"statistics", "equal_coverage", "any_quality"}
    assert "intervals" not in frame
    printed = [*statistics_lines(results["statistics"]), *paired_lines(results["paired"])]
    assert max(map(len, printed)) <= 80
    [(line, below)] = [pair for pair in pairwise(printed) if pair[0].startswith("  unet ")]
    assert line.split()[3:5] == [f"{record['median']:.3f}", f"{record['rsd']:.3f}"]
    assert below.split()[0] == f"[{low:.3f},{high:.3f}]"
    assert below.index("]") == line.index(line.split()[3]) + len(line.split()[3]) - 1, "right below its number"
    [pair] = [line for line in printed if "D2 day, native" in line]
    [difference] = [
        r
        for r in results["paired"]
        if (r["mask"], r["minus"], r["at"], r["algorithm"]) == ("unet", "bayes", "native", "D2")
    ]
    assert pair.split()[3] == f"{difference['differences']['median'] + 0.0:.3f}"


def test_what_is_excluded_is_told_in_words() -> None:
    assert (
        excluded_text({"without_mask": 3, "outside_mask": 0, "cosmetic_pixel": 2}) == "3 without mask, 2 cosmetic pixel"
    )
    assert excluded_text({"without_mask": 0}) == "none"


def test_lines_show_a_dash_for_no_number() -> None:
    record = {"mask": "unet", "algorithm": "N3", "time_of_day": "night", "count": 0}
    line = statistics_lines([record | {"coverage": None, "median": None, "rsd": None}])[-1]
    assert line.split() == ["unet", "0", "-", "-", "-"]
