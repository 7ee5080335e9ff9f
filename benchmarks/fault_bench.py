"""What the fault campaign works on, and how it finds out whether the promise was kept.

The promise:
whatever ends a command, only whole and right outputs lie under their names; a rerun completes; its outputs equal those
of an undisturbed run; no temporary file remains; the list of failures names the bad items and only those.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py

EXTRACT, CONVERT = "extract", "convert"
LONGEST_S = 600
LAUNCH_IMPORTS = "import os, resource, signal, sys"
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
OUR_HDF = (".hdf", ".h5", "_cloud.nc")  # and not the .nc files of products, which are copied
WHEN = ("history",)  # attribute that tells the time of writing
# What a shard says of how it was checked, beside what it is: a damaged manifest may change it, and nothing else.
PROVENANCE = ("manifest_md5", "verified")

Digest = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One trial: its kind, what was done, and what was wrong afterwards."""

    kind: str
    what: str
    violations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """What a campaign works on: a stage, its inputs, an empty folder, and what an undisturbed run makes of them."""

    stage: str
    inputs: Path
    scratch: Path
    flags: tuple[str, ...] = ("--workers", "2")
    expected: Digest = field(default_factory=dict)
    work_s: float = 0.0  # from the first sign of the output folder to the end
    module: str = "preprocess"
    before: tuple[str, ...] = ()  # words before the inputs


def add_shared_flags(parser: argparse.ArgumentParser, products: int) -> None:
    """The flags of every campaign; products: how many it simulates where it isn't told."""
    parser.add_argument("--products", type=int, default=products, help="products of the simulated archive")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", type=Path, help="where to work; by default the system's temporary folder")
    parser.add_argument("--output", type=Path, help="file for the JSON that also goes to stdout")


def prepare(
    stage: str,
    inputs: Path,
    scratch: Path,
    flags: Sequence[str] = ("--workers", "2"),
    *,
    module: str = "preprocess",
    before: Sequence[str] = (),
) -> Bench:
    """A Bench after one undisturbed run; raises RuntimeError if that fails."""
    scratch.mkdir(parents=True)
    bench = Bench(stage, inputs, scratch, tuple(flags), module=module, before=tuple(before))
    with start(bench, scratch / "undisturbed") as process:
        wait_until_begun(process, scratch / "undisturbed")
        began = time.monotonic()
        process.communicate(timeout=LONGEST_S)
    if process.returncode:
        raise RuntimeError(f"the undisturbed {stage} ended with {process.returncode}")
    work_s = time.monotonic() - began
    return replace(bench, expected=digest(scratch / "undisturbed"), work_s=work_s)


def command(bench: Bench, output: Path, inputs: Path | None = None) -> list[str]:
    """The command line that the bench is about."""
    words = [*bench.before, str(inputs or bench.inputs), str(output), *bench.flags]
    return [sys.executable, "-m", f"{bench.module}.{bench.stage}", *words]


def start(bench: Bench, output: Path, before: str = "") -> subprocess.Popen[str]:
    """Start the command in a process group of its own; `before` is Python that runs in its process first."""
    # Not subprocess's preexec_fn, which is deprecated in processes that have threads.
    code = f"{LAUNCH_IMPORTS}; {before}; os.execv(sys.argv[1], sys.argv[1:])"
    launch = [sys.executable, "-c", code] if before else []
    return subprocess.Popen(
        [*launch, *command(bench, output)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def wait_until_begun(process: subprocess.Popen[str], output: Path) -> None:
    """Return when the command has made its output folder, or has ended."""
    while process.poll() is None and not output.exists():
        time.sleep(0.002)


def digest(folder: Path) -> Digest:
    """Everything visible in `folder` by its path: files by their bytes, shards by datasets and attributes."""
    found: Digest = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            found[name] = shard_digest(path, WHEN) if name.endswith(OUR_HDF) else file_digest(path)
    return found


def file_digest(path: Path) -> str:
    """The SHA-256 of the bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shard_digest(path: Path, without: Sequence[str] = ()) -> dict[str, str]:
    """Each dataset's type, shape, values and attributes, and the file's attributes but those in `without`."""
    with h5py.File(path) as file:
        found = {
            name: f"{item.dtype} {item.shape} {hashlib.sha256(item[...].tobytes()).hexdigest()} {attributes(item)}"
            for name, item in file.items()
        }
        return found | {"attributes": str([pair for pair in attributes(file) if pair[0] not in without])}


def attributes(item: Any) -> list[tuple[str, str]]:
    """Name and value of each attribute, sorted."""
    return sorted((name, repr(value)) for name, value in item.attrs.items())


def temporary(folder: Path) -> list[str]:
    """The hidden files and folders that lie in `folder`."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".*")]


def wrong_outputs(bench: Bench, output: Path) -> Iterator[str]:
    """Outputs under their names that are not those of an undisturbed run; there may be fewer."""
    try:
        found = digest(output)
    except OSError as error:
        yield f"an output can't be read: {error}"
        return
    for name, value in found.items():
        if name != "failures.json" and bench.expected.get(name) != value:
            yield f"{name} is not as an undisturbed run makes it"
    if bench.stage == EXTRACT:  # a product's folder appears with all of its files
        begun = {name.split("/")[0] for name in found}
        yield from (
            f"{name} is missing" for name in bench.expected if name.split("/")[0] in begun and name not in found
        )


def crashed(code: int, told: str) -> Iterator[str]:
    """Endings that are a bug."""
    if code == 1 or "Traceback" in told or "bug in jaxmask" in told:
        yield f"it ended with {code}: {told[-600:]}"


def rerun(bench: Bench, output: Path) -> Iterator[str]:
    """What is wrong after a second, undisturbed run to the same folder."""
    done = subprocess.run(command(bench, output), capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode:
        yield f"the rerun ended with {done.returncode}: {done.stderr[-600:]}"
    if digest(output) != bench.expected:
        yield "the rerun's outputs are not those of an undisturbed run"
    yield from (f"{name} remains" for name in temporary(output))


def ended(group: int) -> bool:
    """Whether no process of a group is left; those that nothing has reaped yet are not counted."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return False
    return True


def workers_left(group: int) -> Iterator[str]:
    """Processes that outlive their parent by half a minute; they are killed."""
    for _ in range(300):
        if ended(group):
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    yield "its workers did not end"


def wrong_failures(bench: Bench, output: Path) -> Iterator[str]:
    """Where failures.json does not name exactly the products that are not there."""
    listing = output / "failures.json"
    if not listing.exists():
        return
    failed = {Path(failure["item"]).name.split(".")[0] for failure in json.loads(listing.read_text())}
    there = {product_of(name) for name in digest(output)}
    missing = {product_of(name) for name in bench.expected} - there
    if failed != missing:
        yield f"failures.json names {sorted(failed)}; {sorted(missing)} are missing"


def product_of(name: str) -> str:
    """The product's name in an output's path: day/NAME.hdf, NAME.SEN3/file, NAME.h5 or NAME_cloud.nc."""
    return name.split("/")[1 if name.endswith(".hdf") else 0].split(".")[0].removesuffix("_cloud")
