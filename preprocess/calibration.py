"""What the radiances of S1 to S6 are multiplied by: nothing, the product notices' factors, or a user's own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from preprocess.errors import UserError
from preprocess.level1 import SOLAR_CHANNELS

VIEWS = ("nadir", "oblique")
CALIBRATIONS = ("none", "notice")
# Of S1..S6, from the product notices S3.PN-SLSTR-L1.08 and .10. The processor applies them itself from baseline
# collection 005, so that they must not be applied again from there.
NOTICE_FACTORS = {
    "nadir": (0.97, 0.98, 0.98, 1.0, 1.11, 1.13),
    "oblique": (0.94, 0.95, 0.95, 1.0, 1.04, 1.07),
}
FIRST_CALIBRATED_COLLECTION = 5
# Of a user's own: no calibration errs by more, but a percentage written for a share does.
LEAST_FACTOR, GREATEST_FACTOR = 0.1, 10.0

Factors = tuple[float, ...]


def calibration_factors(calibration: str, collection: str, view: str = "nadir") -> np.ndarray:
    """What the radiances of S1..S6 of one view are multiplied by: (6,) f8.

    "none": 1. "notice": the notices' factors for collections below 005, and 1 from 005. Any other text is a user's own
    factors as `user_calibration` words them, and they apply whatever the collection. Raises UserError for a text that
    is none of these, and for a user's that leave `view` out.
    """
    if calibration == "none":
        return np.ones(len(SOLAR_CHANNELS))
    if calibration == "notice":
        calibrated = int(collection) >= FIRST_CALIBRATED_COLLECTION
        return np.ones(len(SOLAR_CHANNELS)) if calibrated else np.array(NOTICE_FACTORS[view])
    factors = _parse(calibration)
    if view not in factors:
        raise UserError(f"the calibration '{calibration}' has no factors for the {view} view; give them in its file")
    return np.array(factors[view])


def user_calibration(text: str, source: str, views: tuple[str, ...]) -> str:
    """A user's factors, from the JSON `text` of the file `source`, in the words that shards and models record.

    The file holds {"nadir": {"S1": 0.97, ...}, "oblique": {...}} and names all six channels of each view in `views`:
    a channel left out would take a default, and a user's factors are never mixed with others (pytroll/satpy issue 3417
    and the code after pull 3418 show what that leads to). The words are "nadir 0.97 0.98 0.98 1.0 1.11 1.13", then
    "; oblique ..." where `views` has it: equal words mean that the same was done. Raises UserError naming `source`.
    """
    try:
        found = json.loads(text, object_pairs_hook=_no_name_twice)
    except ValueError as error:
        at = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        found = f"what stands at {at} is none" if at else str(error)
        raise UserError(f'--calibration {source}: expected JSON, {{"nadir": {{"S1": 0.97, ...}}}}; {found}') from error
    if not isinstance(found, dict) or set(found) - set(VIEWS):
        names = ", ".join(found) if isinstance(found, dict) else type(found).__name__
        raise UserError(f"--calibration {source}: expected an object of {' and '.join(VIEWS)}; found {names}")
    # A view that is not made is read all the same: nobody should learn of a slip in it only later.
    checked = {view: _view_factors(channels, view, source) for view, channels in found.items()}
    missing = [view for view in views if view not in checked]
    if missing:
        raise UserError(f"--calibration {source}: no factors for the {missing[0]} view; name it with all six channels")
    return _words(checked, views)


def recorded_calibration(words: str, views: tuple[str, ...]) -> str:
    """A user's factors as a shard or a model tells them, for `views` alone; raises UserError for other words."""
    return _words({view: tuple(calibration_factors(words, "", view).tolist()) for view in views}, views)


def _words(factors: dict[str, Factors], views: tuple[str, ...]) -> str:
    return "; ".join(f"{view} {' '.join(map(repr, factors[view]))}" for view in views)


def nadir_calibration(calibration: str) -> str:
    """What was done to the nadir view alone, which is what networks see."""
    return calibration.partition("; ")[0]


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{twice[0]} stands there twice")
    return dict(pairs)


def _view_factors(channels: Any, view: str, source: str) -> Factors:
    named = set(channels) if isinstance(channels, dict) else set()
    if named != set(SOLAR_CHANNELS):
        differing = [f"{channel} is missing" for channel in SOLAR_CHANNELS if channel not in named]
        differing += [f"{name} is none of them" for name in sorted(named - set(SOLAR_CHANNELS))]
        raise UserError(
            f"--calibration {source}: the {view} view must name all of S1 to S6 and nothing else, as a user's factors "
            f"are never mixed with defaults; found that {', '.join(differing)}"
        )
    for channel in SOLAR_CHANNELS:
        if not _is_factor(channels[channel]):
            raise UserError(
                f"--calibration {source}: the factor of {channel}, {view}, must be a number from {LEAST_FACTOR:g} to "
                f"{GREATEST_FACTOR:g}; found {channels[channel]!r}"
            )
    return tuple(float(channels[channel]) for channel in SOLAR_CHANNELS)


def _is_factor(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and LEAST_FACTOR <= value <= GREATEST_FACTOR


def _parse(calibration: str) -> dict[str, Factors]:
    """The factors in the words of `user_calibration`, by view."""
    factors: dict[str, Factors] = {}
    for part in calibration.split("; "):
        view, *words = part.split(" ")
        try:
            numbers = tuple(float(word) for word in words)
        except ValueError:
            numbers = ()
        if view not in VIEWS or len(numbers) != len(SOLAR_CHANNELS) or not all(map(_is_factor, numbers)):
            raise UserError(
                f"--calibration must be {', '.join(CALIBRATIONS)} or a file of factors; found '{calibration}'"
            )
        factors[view] = numbers
    return factors
