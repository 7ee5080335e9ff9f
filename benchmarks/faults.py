"""A campaign of faults: extract and convert are killed, starved, raced and fed damage, and must keep their promise.

    python benchmarks/faults.py [--rounds 50] [--places 200] [--entries 4000] [--products 4] [--seed 0]
                                [--scratch FOLDER] [--output FILE]

Each kind of fault is tried at random moments and places drawn from the seed, on a small simulated archive. After each
trial: only whole and right outputs lie under their names, a rerun completes, its outputs equal those of an undisturbed
run dataset by dataset, no temporary file remains, the list of failures is right. The table goes to stderr, JSON to
stdout; the exit code is 1 if anything was violated. Trials are in fault_trials.py and fault_inputs.py; the tests run
them at a small size.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fault_inputs
import fault_trials
from fault_bench import CONVERT, EXTRACT, Bench, Finding, add_shared_flags, prepare

from preprocess.cores import available_cores

SHAPE = {EXTRACT: (), CONVERT: ("--shape", "native")}


def campaign(arguments: argparse.Namespace, archive: Path, scratch: Path) -> Iterator[Finding]:
    """Every trial of both stages in turn."""
    rounds, few, seed = arguments.rounds, max(1, arguments.rounds // 5), arguments.seed
    for stage in (EXTRACT, CONVERT):
        bench = prepare(stage, archive, scratch / stage, ("--workers", "2", *SHAPE[stage]))
        folders = None if stage == EXTRACT else scratch / EXTRACT / "undisturbed"
        yield from fault_trials.killed(bench, rounds, seed)
        yield from fault_trials.interrupted(bench, few, seed)
        yield from fault_trials.limited(bench, few, seed)
        yield from fault_trials.full_disk(bench, few, seed)
        yield from fault_trials.read_only(bench)
        yield from fault_trials.together(bench, few, seed)
        yield from fault_trials.together(bench, max(1, few // 2), seed, commands=4)
        yield from fault_trials.removed(bench, few, seed)
        yield from fault_trials.few_descriptors(bench, few, seed)
        yield from fault_inputs.harmed(bench, folders, arguments.places, seed)
        if folders is not None:
            yield from fault_inputs.missing_files(bench, folders)
        yield from other(bench, arguments)


def other(bench: Bench, arguments: argparse.Namespace) -> Iterator[Finding]:
    """Long lists, at two lengths: memory must not grow with them."""
    for entries in (arguments.entries // 8, arguments.entries):
        yield from fault_inputs.many_bad_entries(bench, entries, arguments.seed)


def report(findings: list[Finding], seconds: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trials and violations by kind, and each violation in full."""
    kinds = dict.fromkeys(finding.kind for finding in findings)
    return {
        "seed": arguments.seed,
        "seconds": round(seconds),
        "cores": available_cores(),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "trials": {
            kind: {
                "tried": sum(f.kind == kind and not f.what.startswith("skipped") for f in findings),
                "passed": sum(
                    f.kind == kind and not f.violations and not f.what.startswith("skipped") for f in findings
                ),
            }
            for kind in kinds
        },
        "notes": [f"{f.kind}: {f.what}" for f in findings if "entries" in f.what or f.what.startswith("skipped")],
        "right_in_spite_of_damage": sum("damage" in f.kind and f.what.endswith(": right") for f in findings),
        "violations": [{"kind": f.kind, "what": f.what, "violations": f.violations} for f in findings if f.violations],
    }


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50, help="kills of each stage; of most other faults a fifth")
    parser.add_argument("--places", type=int, default=200, help="damaged places of each stage's inputs")
    parser.add_argument("--entries", type=int, default=4000, help="length of the longest list of mostly bad entries")
    add_shared_flags(parser, products=4)
    arguments = parser.parse_args(argv)
    for name, least in (("rounds", 1), ("places", 1), ("entries", 100), ("products", 1)):
        if getattr(arguments, name) < least:
            parser.error(f"--{name} must be {least} or more; found {getattr(arguments, name)}")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run the campaign; 1 if anything was violated."""
    arguments = parse(argv)
    began = time.monotonic()
    findings = []
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        archive = Path(scratch) / "archive"
        simulate = ["-m", "preprocess.simulate", str(archive), "--products", str(arguments.products), "--quiet"]
        subprocess.run([sys.executable, *simulate], check=True)
        for finding in campaign(arguments, archive, Path(scratch)):
            if finding.kind not in {known.kind for known in findings}:
                print(f"{time.monotonic() - began:6.0f} s: {finding.kind}", file=sys.stderr)
            findings.append(finding)
            if finding.violations:
                print(f"VIOLATED {finding.kind}: {finding.what}: {'; '.join(finding.violations)}", file=sys.stderr)
    found = report(findings, time.monotonic() - began, arguments)
    for kind, counts in found["trials"].items():
        print(f"{kind:32}{counts['passed']:5} of {counts['tried']:4} passed", file=sys.stderr)
    text = json.dumps(found, indent=2)
    if arguments.output is not None:
        arguments.output.write_text(text + "\n")
    print(text)
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
