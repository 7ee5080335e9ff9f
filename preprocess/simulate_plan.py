"""What a simulated archive holds: one plan a product, made from the size of the archive and a seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Illumination = Literal["day", "twilight", "night"]
Theme = Literal["sea", "coast", "land", "snow", "ice", "glint"]
Size = Literal["small", "full"]


@dataclass(frozen=True)
class ProductPlan:
    """Everything that decides one simulated product; equal plans give equal products.

    `name` has no .SEN3. `start` is UTC. `nadir_column` is the 1 km column of the sub-satellite track (`track_offset`):
    a small product is a window cut from a full swath, so it may lie outside the image, even below 0. `centre_*` is the
    sub-satellite point of the middle row, degrees, and `heading_deg` the direction of flight there, clockwise from
    north. `copy_of` names the product whose scene this one repeats (equal `seed`, platform and start), else None.
    """

    name: str
    platform: str
    collection: str
    start: datetime
    cycle: int
    relative_orbit: int
    absolute_orbit: int
    frame: int
    rows: int
    columns: int
    nadir_column: int
    illumination: Illumination
    theme: Theme
    labelled: bool
    seed: int
    copy_of: str | None
    centre_latitude: float
    centre_longitude: float
    heading_deg: float
