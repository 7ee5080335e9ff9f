"""What the name of a Sentinel-3 product says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

# PPP_SL_1_RBT____<start>_<stop>_<creation>_<duration>_<cycle>_<orbit>_<frame>_<centre>_<class>_<time>_<collection>,
# from the S3 PDGS file naming convention (GMES-S3GS-EOPG-TN-09-0009).
PRODUCT_NAME = re.compile(r"(S3[A-D])_SL_1_RBT____(\d{8}T\d{6})_\d{8}T\d{6}_\d{8}T\d{6}_.*_(\d{3})")
SUFFIX = ".SEN3"


@dataclass(frozen=True)
class ProductName:
    """Platform ("S3A"), sensing start (ISO 8601, UTC) and baseline collection ("002"); "" where a name says none."""

    platform: str
    start_time: str
    collection: str


def item_name(item: str) -> str:
    """The name of the product that an item of a list of failures is of, from its path: the file's, without endings."""
    return PurePath(item).name.partition(".")[0]


def parse_name(name: str) -> ProductName:
    """Take apart a product name, with or without .SEN3; every part is "" if it isn't the name of an L1 RBT product."""
    match = PRODUCT_NAME.fullmatch(name.removesuffix(SUFFIX))
    if match is None:
        return ProductName("", "", "")
    platform, start, collection = match.groups()
    day, time = start.split("T")
    return ProductName(platform, f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}Z", collection)
