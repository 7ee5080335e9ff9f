"""Factors of the product notices and of users: who gets them, their words, and what a file of them must hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from preprocess.calibration import calibration_factors, nadir_calibration, user_calibration
from preprocess.errors import UserError

NADIR, OBLIQUE = ("nadir",), ("nadir", "oblique")
OWN = {"nadir": {"S1": 0.97, "S2": 1, "S3": 0.98, "S4": 1.01, "S5": 1.1, "S6": 1.125}}
BOTH = OWN | {"oblique": {"S1": 0.9, "S2": 0.91, "S3": 0.92, "S4": 0.93, "S5": 0.94, "S6": 0.95}}
WORDS = "nadir 0.97 1.0 0.98 1.01 1.1 1.125"


@pytest.mark.quick
def test_notice_factors_count_below_collection_005_only() -> None:
    notice = {"nadir": [0.97, 0.98, 0.98, 1.0, 1.11, 1.13], "oblique": [0.94, 0.95, 0.95, 1.0, 1.04, 1.07]}
    for view, factors in notice.items():
        for collection, expected in (("002", factors), ("004", factors), ("005", [1.0] * 6), ("006", [1.0] * 6)):
            np.testing.assert_array_equal(calibration_factors("notice", collection, view), expected)
            np.testing.assert_array_equal(calibration_factors("none", collection, view), [1.0] * 6)
    np.testing.assert_array_equal(calibration_factors("notice", "002"), notice["nadir"])


@pytest.mark.parametrize(
    "text", ["vicarious", "", "nadir", "nadir 1 1 1 1 1", "nadir 1 1 1 1 1 x", "nadir 1 1 1 1 1 0", "up 1 1 1 1 1 1"]
)
def test_unknown_calibration_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=f"--calibration must be none, notice or a file of factors; found '{text}'"):
        calibration_factors(text, "002")


@pytest.mark.quick
def test_a_users_factors_become_words_and_these_factors_again_for_every_collection() -> None:
    words = user_calibration(json.dumps(BOTH), "own.json", OBLIQUE)
    assert words == f"{WORDS}; oblique 0.9 0.91 0.92 0.93 0.94 0.95"
    assert nadir_calibration(words) == WORDS
    for collection in ("002", "005"):
        np.testing.assert_array_equal(calibration_factors(words, collection), list(OWN["nadir"].values()))
        np.testing.assert_array_equal(calibration_factors(words, collection, "oblique"), list(BOTH["oblique"].values()))


def test_words_say_what_was_done_alone() -> None:
    """The order of channels, the spelling of numbers and a view that isn't made change nothing."""
    other = '{"oblique": %s, "nadir": {"S6": 1.1250, "S5": 11e-1, "S4": 1.01, "S3": 0.98, "S2": 1.0, "S1": 0.97}}'
    assert user_calibration(other % json.dumps(BOTH["oblique"]), "own.json", NADIR) == WORDS
    with pytest.raises(UserError, match=f"the calibration '{WORDS}' has no factors for the oblique view"):
        calibration_factors(WORDS, "002", "oblique")


def test_words_of_the_two_known_calibrations_are_their_own_nadir() -> None:
    assert [nadir_calibration(name) for name in ("none", "notice")] == ["none", "notice"]


def changed(**channels: Any) -> str:
    return json.dumps({"nadir": {name: value for name, value in (OWN["nadir"] | channels).items() if value != "gone"}})


@pytest.mark.parametrize(
    ("text", "views", "message"),
    [
        ("", NADIR, "expected JSON, .*; what stands at line 1, column 1 is none$"),
        ('{"nadir":\n {"S1": 0.97,}}', NADIR, "expected JSON, .*; what stands at line 2, column [0-9]+ is none$"),
        ("[0.97, 1, 1, 1, 1, 1]", NADIR, "expected an object of nadir and oblique; found list"),
        ('{"Nadir": {}}', NADIR, "expected an object of nadir and oblique; found Nadir"),
        ("{}", NADIR, "no factors for the nadir view; name it with all six channels"),
        (json.dumps(OWN), OBLIQUE, "no factors for the oblique view; name it with all six channels"),
        (json.dumps({"nadir": [1] * 6}), NADIR, "must name all of S1 to S6 .* S1 is missing, .*S6 is missing"),
        (
            changed(S5="gone"),
            NADIR,
            "the nadir view must name all of S1 to S6 .*never mixed.* found that S5 is missing",
        ),
        (changed(S7=1), NADIR, "found that S7 is none of them"),
        (changed(S2=0), NADIR, "the factor of S2, nadir, must be a number from 0.1 to 10; found 0"),
        (changed(S2=-1), NADIR, "found -1"),
        (changed(S2=97), NADIR, "found 97"),
        (changed(S2=float("nan")), NADIR, "found nan"),
        (changed(S2=float("inf")), NADIR, "found inf"),
        (changed(S2=True), NADIR, "found True"),
        (changed(S2="1.0"), NADIR, "found '1.0'"),
        (changed(S2=None), NADIR, "found None"),
        (changed(S2=10**400), NADIR, "the factor of S2"),
        (changed().replace('"S6"', '"S1": 1, "S6"'), NADIR, "S1 stands there twice"),
        (json.dumps(OWN | {"oblique": {"S1": 1}}), NADIR, "the oblique view must name all of S1 to S6"),
    ],
)
def test_a_file_that_is_not_six_factors_a_view_is_refused_by_name(
    text: str, views: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=f"--calibration own.json: .*{message}"):
        user_calibration(text, "own.json", views)
