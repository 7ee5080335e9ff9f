"""The flags of gpu.py."""

from __future__ import annotations

import argparse
from pathlib import Path

import gpu_plan

GROUPS = ("chip", "training", "inference", "fed", "attempts", "profile")


def parse(argv: list[str] | None, description: str | None) -> argparse.Namespace:
    """The flags' values."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--output", type=Path, help="the report, as JSON; gone on with if it is there")
    add("--overwrite", action="store_true", help="start anew whatever --output holds")
    add("--again", action="store_true", help="try what failed once more")
    add("--seconds", type=float, default=540.0, help="begin nothing that would end later")
    add("--only", nargs="+", choices=GROUPS, default=[], help="these groups of pieces alone")
    add("--batches", type=whole, nargs="+", default=[32, 64, 128, 256], help="patches a step")
    add("--fed-batches", type=whole, nargs="+", default=[32, 128], help="patches a step, end to end")
    add("--attempt-batch", type=whole, default=64, help="patches a step of attempts and profile")
    add("--patches", type=whole, default=4000, help="in the caches, end to end")
    add("--precisions", nargs="+", choices=gpu_plan.PRECISIONS, default=list(gpu_plan.PRECISIONS))
    add("--features", type=whole, default=32, help="of the U-Net's first level")
    add("--patch", type=whole, default=256, help="rows and columns of a patch, pixels")
    add("--scene-size", type=whole, nargs=2, default=[1200, 1504], help="rows and columns of a scene, pixels")
    add("--matrix", type=whole, default=8192, help="rows and columns of the chip's products")
    add("--copy-megabytes", type=whole, default=1000, help="read and written by the chip's copies")
    add("--rounds", type=whole, default=5, help="turns of each contender")
    add("--round-seconds", type=float, default=1.0, help="of one turn, about")
    add("--patience", type=float, default=240.0, help="seconds for one compilation or turn before it counts as failed")
    add("--torch-mode", default="default", help="of torch.compile; off: not compiled")
    add("--profile", type=Path, help="folder to keep the profile in; else only its summary is kept")
    add("--profile-steps", type=whole, default=10)
    add("--compile-cache", type=Path, help="folder to keep compiled programs in, for the next command")
    return parser.parse_args(argv)


def whole(text: str) -> int:
    """A whole number of 1 or more; ValueError, which argparse reports, for anything else."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)
