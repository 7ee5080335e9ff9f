"""The datasets of a shard: names, channels, types and units, in one table.

A full product (1198 x 1500) takes 50 MB, and one whose every pixel is noise 66 MB: six reflectances have 35 MB of it
that no compression shortens. Every optional dataset comes on top: the radiances (--rads) with 33 to 35 MB, so that
such a shard has 83 to 102 MB, and the texture (--texture) with 29 to 35 MB.
"""

from __future__ import annotations

from dataclasses import dataclass

from preprocess.level1 import CONFIDENCE_BITS


@dataclass(frozen=True)
class ShardField:
    """One dataset: (H, W, channels), or (H, W) where `channels` is 0."""

    name: str
    channels: int
    dtype: str
    units: str
    long_name: str
    optional: bool = False

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """The dataset's shape for a scene of height x width."""
        return (height, width, self.channels) if self.channels else (height, width)


REFS = "top of atmosphere reflectance of S1 to S6; sun zenith taken as 88 degrees at most; 0 where not measured"
BTS = "brightness temperature of S7 to S9; 270 where there is none (see valid, measured)"

FIELDS = (
    ShardField("refs", 6, "float32", "1", REFS),
    ShardField("bts", 3, "float32", "K", BTS),
    ShardField("rads", 6, "float32", "mW m-2 sr-1 nm-1", "radiance of S1 to S6", optional=True),
    ShardField("bayes", 1, "uint8", "1", "Bayesian cloud label: 255 cloud, 0 clear"),
    ShardField("summary", 1, "uint8", "1", "summary_cloud of confidence_in: 255 cloud, 0 clear"),
    ShardField("valid", 1, "uint8", "1", "1 where S8 and S9 hold data"),
    ShardField("label_valid", 1, "uint8", "1", "1 where the label was computed"),
    ShardField("measured", 0, "uint16", "1", "bit c-1 set where channel Sc is a measurement"),
    ShardField("flags", 0, "uint16", "1", "confidence_in"),
    ShardField("latitude", 0, "float32", "degrees_north", "latitude"),
    ShardField("longitude", 0, "float32", "degrees_east", "longitude"),
    ShardField("texture", 6, "float32", "1", "standard deviation of 500 m reflectances of S1 to S6", optional=True),
    ShardField("oblique_refs", 6, "float32", "1", "oblique reflectance of S1 to S6 (experimental)", optional=True),
    ShardField("oblique_bts", 3, "float32", "K", "oblique temperature of S7 to S9 (experimental)", optional=True),
    ShardField("oblique_valid", 1, "uint8", "1", "1 where oblique S8 and S9 hold data (experimental)", optional=True),
    ShardField("oblique_measured", 0, "uint16", "1", "measured, of the oblique view (experimental)", optional=True),
)
BY_NAME = {field.name: field for field in FIELDS}

# What the original's own shards hold, all float64.
PUBLISHED = ("bts", "rads", "refs", "bayes", "summary")

FLAG_MASKS = tuple(CONFIDENCE_BITS.values())
FLAG_MEANINGS = " ".join(CONFIDENCE_BITS)
