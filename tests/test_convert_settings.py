"""What makes two shards of one product the same: every setting, and nothing that older shards could not record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preprocess.convert_settings import ConvertConfig, differing_setting, settle
from preprocess.errors import UserError
from preprocess.scene import SceneInfo
from tests.shards import INFO

SHARD = replace(INFO, rows=1198, columns=1500)


def config(**flags: Any) -> ConvertConfig:
    return ConvertConfig(Path("products"), Path("hdf"), **flags)


def differing(info: SceneInfo, extra: set[str], **flags: Any) -> tuple[str, str, str] | None:
    return differing_setting(info, 1200, 1500, frozenset(extra), config(**flags))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("flags", "made", "extra"),
    [
        ({}, {}, set()),
        ({"convention": "reference"}, {"convention": "reference", "regridding": "resize"}, set()),
        ({"calibration": "notice"}, {"calibration": "notice"}, set()),
        ({"label": "single_low"}, {"label_rule": "single_low"}, set()),
        ({"rads": True}, {}, {"rads"}),
        ({"regrid": "neighbours"}, {"regridding": "neighbours"}, set()),
        ({"regrid": "neighbours", "texture": True}, {"regridding": "neighbours"}, {"texture"}),
        ({"views": "nadir,oblique"}, {"views": "nadir,oblique"}, {"oblique_refs"}),
    ],
)
def test_a_shard_is_reused_by_the_settings_that_made_it_alone(
    flags: dict[str, Any], made: dict[str, Any], extra: set[str]
) -> None:
    info = replace(SHARD, **made)
    assert differing(info, extra, **flags) is None
    others: list[dict[str, Any]] = [
        {}, {"calibration": "notice"}, {"label": "single_low"}, {"rads": True}, {"regrid": "neighbours"},
        {"regrid": "neighbours", "texture": True}, {"views": "nadir,oblique"}, {"convention": "reference"},
    ]  # fmt: skip
    refused = [other for other in others if other != flags]
    assert len(refused) == 7
    for other in refused:
        assert differing(info, extra, **other) is not None, other


def test_the_flag_and_both_values_are_told() -> None:
    assert differing(replace(SHARD, regridding="neighbours"), set()) == ("regrid", "neighbours", "mean")
    assert differing(SHARD, {"texture"}) == ("texture", "True", "False")
    assert differing(SHARD, set(), shape="1202x1500") == ("shape", "1200x1500", "1202x1500")
    assert differing(SHARD, set(), shape="native") == ("shape", "1200x1500", "1198x1500")
    for flags in ({"verify": "none"}, {"overwrite": True}, {"workers": 3}):  # change nothing in a shard
        assert differing(SHARD, set(), **flags) is None


def test_a_settled_config_holds_words_in_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    views = {view: {f"S{channel}": 1.5 for channel in range(1, 7)} for view in ("nadir", "oblique")}
    path.write_text(json.dumps(views))
    assert settle(config(calibration=str(path))).calibration == "nadir" + 6 * " 1.5"
    both = settle(config(calibration=str(path), views="nadir,oblique", label="probability:.50"))
    assert (both.calibration, both.label) == (f"nadir{6 * ' 1.5'}; oblique{6 * ' 1.5'}", "probability:0.5")
    assert settle(config(calibration="notice")) == config(calibration="notice")


def test_a_users_factors_are_taken_as_a_shard_or_a_message_tells_them(tmp_path: Path) -> None:
    assert settle(config(calibration="nadir 1 1 1 1 1 1.50")).calibration == "nadir 1.0 1.0 1.0 1.0 1.0 1.5"
    both = f"nadir{6 * ' 0.9'}; oblique{6 * ' 1.1'}"
    assert settle(config(calibration=both)).calibration == f"nadir{6 * ' 0.9'}"
    assert settle(config(calibration=both, views="nadir,oblique")).calibration == both
    with pytest.raises(UserError, match=r"the calibration 'nadir .*' has no factors for the oblique view"):
        settle(config(calibration=f"nadir{6 * ' 0.9'}", views="nadir,oblique"))
    for words in ("nadir 1 1 1 1 1", "nadir 1 1 1 1 1 97", "nadir own.json"):
        with pytest.raises(UserError, match=f"--calibration must be none, notice or a file .*; found '{words}'"):
            settle(config(calibration=words))
