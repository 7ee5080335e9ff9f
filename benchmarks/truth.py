"""The truth test: is a network that learnt from a mask better than that mask? On simulated archives with known truth.

    python benchmarks/truth.py FOLDER [--output benchmarks/measured/truth.json --figures docs]
    python benchmarks/pages.py --update docs/truth.md

Simulates an archive to train on and one to judge on, of another seed and of other clouds, aerosol and prior; trains,
with three seeds, the U-Net and a network that sees one pixel at a time on the label, and the U-Net on the truth (the
ceiling) and on a label that is a fixed function of the nine channels (the negative control); judges all of them, the
label and the label smoothed, against truth. Everything lies in FOLDER (about 3 GB): the same command goes on where it
was killed. The truth is read in judging, and to write the ceiling's own copies of shards into FOLDER, which no other
network sees. docs/truth.md tells what comes out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import measure
import truth_figure
import truth_judge
import truth_page
import truth_scene
from truth_stages import Study, make_archives, make_masks, runs, seconds

from jaxmask.machine import versions


def main(argv: list[str] | None = None) -> int:
    """Make what is missing, judge, tell, and return 0."""
    given = sys.argv[1:] if argv is None else argv
    options = parse(given)
    study = Study(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Study)})
    make_archives(study)
    for run in runs(study):
        make_masks(study, run)
    report = {
        **measure.machine(),
        "versions": versions(),
        "command": " ".join(["python", "benchmarks/truth.py", "FOLDER", *given[1:]]),
        "study": {name: value for name, value in dataclasses.asdict(study).items() if name != "folder"},
        "seconds": seconds(study),
        **truth_judge.judge(study),
    }
    if options.figures:
        truth_figure.save(report, options.figures / "truth.png")
        truth_scene.save(study, options.figures / "truth_scene.png")
    if options.output:
        options.output.write_text(compact(report))
    print("\n\n".join(truth_page.texts(report).values()))
    return 0


def compact(report: dict[str, Any]) -> str:
    """JSON of a line for each number with its interval."""
    return re.sub(r"\{[^{}\[\]]*\}", lambda found: " ".join(found[0].split()), json.dumps(report, indent=1)) + "\n"


def parse(argv: list[str]) -> argparse.Namespace:
    """The flags: those of Study, and where results go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for everything that is made")
    parser.add_argument("--output", type=Path, help="write the JSON to this file")
    parser.add_argument("--figures", type=Path, help="draw truth.png and truth_scene.png into this folder")
    for field in dataclasses.fields(Study)[1:]:
        default: Any = field.default
        several: dict[str, Any] = {"nargs": "+"} if isinstance(default, tuple) else {}
        kind = type(default[0] if several else default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=default, **several)
    options = parser.parse_args(argv)
    for name in ("labels", "seeds"):
        found = tuple(getattr(options, name))
        if len(set(found)) < len(found):
            parser.error(f"--{name} must be different ones; found {' '.join(map(str, found))}")
        setattr(options, name, found)
    return options


if __name__ == "__main__":
    sys.exit(main())
