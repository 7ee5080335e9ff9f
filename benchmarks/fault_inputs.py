"""Trials of damaged, missing and useless inputs: the right output or an error that names the product, nothing else."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fault_bench import (
    EXTRACT,
    LONGEST_S,
    PROVENANCE,
    Bench,
    Finding,
    command,
    digest,
    file_digest,
    shard_digest,
    temporary,
)  # fmt: skip

from preprocess.convert import ConvertConfig, convert_product
from preprocess.errors import UserError
from preprocess.extract import extract_zip
from preprocess.pool import map_items
from preprocess.product import REQUIRED_FILES

MANIFEST = "xfdumanifest.xml"
FLIP, CUT, ZERO = "flip", "cut", "zero"


@dataclass(frozen=True)
class Harm:
    """One damaged copy of a product: which (a folder or a zip), its file ("" for the zip itself), how and where."""

    stage: str
    product: Path
    file: str
    how: str
    share: float  # of the file's size
    bit: int
    scratch: Path
    shape: str
    expected: Path  # the undisturbed output


def draw_harms(bench: Bench, folders: Path | None, rounds: int, seed: int, shape: str) -> list[Harm]:
    """Random places of the zips of a bench, and of the files of the same products in `folders`."""
    draws = random.Random(seed)
    zips = sorted(bench.inputs.glob("*.zip"))
    products = sorted(folders.glob("*.SEN3")) if folders else []
    harms = []
    for number in range(rounds):
        whole = not products or number % 2 == 0
        product = draws.choice(zips if whole else products)
        file = "" if whole else draws.choice(sorted(path.name for path in product.iterdir()))
        how = draws.choices((FLIP, CUT, ZERO), (6, 2, 2))[0]
        # Half of the places are near the ends, where directories and headers lie.
        share = draws.choice((draws.random(), draws.random() * 0.02, 1 - draws.random() * 0.02, draws.random()))
        harms.append(
            Harm(bench.stage, product, file, how, share, draws.randrange(8), bench.scratch / f"harm-{number}", shape,
                 bench.scratch / "undisturbed")
        )  # fmt: skip
    return harms


def harm_bytes(data: bytes, harm: Harm) -> bytes:
    """The bytes with one bit flipped, cut off, or 64 of them zeroed."""
    at = min(len(data) - 1, int(harm.share * len(data)))
    if harm.how == CUT:
        return data[:at]
    changed = bytearray(data)
    if harm.how == FLIP:
        changed[at] ^= 1 << harm.bit
    else:
        changed[at : at + 64] = bytes(len(changed[at : at + 64]))
    return bytes(changed)


def damaged_copy(harm: Harm) -> Path:
    """The copy in the trial's own folder."""
    target = harm.scratch / harm.product.name
    if not harm.file:
        harm.scratch.mkdir(parents=True)
        target.write_bytes(harm_bytes(harm.product.read_bytes(), harm))
        return target
    target.mkdir(parents=True)
    for path in harm.product.iterdir():
        if path.name != harm.file:
            os.link(path, target / path.name)
    (target / harm.file).write_bytes(harm_bytes((harm.product / harm.file).read_bytes(), harm))
    return target


def try_harmed(harm: Harm) -> tuple[str, tuple[str, ...]]:
    """What became of it, "right" or the error, and what was wrong with that."""
    product, output = damaged_copy(harm), harm.scratch / "out"
    try:
        if harm.stage == EXTRACT:
            extract_zip(product, output)
            wrong = differing_folder(output, harm.expected)
        else:
            (output / "day").mkdir(parents=True)
            shard = convert_product(product, ConvertConfig(product, output, shape=harm.shape)).path
            expected = harm.expected / shard.relative_to(output)
            same = expected.exists() and shard_digest(shard, PROVENANCE) == shard_digest(expected, PROVENANCE)
            wrong = () if same else (f"a wrong shard: {shard.name}",)
        told = "right"
    except UserError as error:
        told = str(error)
        wrong = () if str(product) in told else (f"the error does not name {product.name}: {told}",)
        wrong += tuple(f"{path.name} remains" for path in output.rglob("*") if path.is_file())
    wrong += tuple(f"{name} remains" for name in (temporary(output) if output.exists() else ()))
    shutil.rmtree(harm.scratch)
    return told, wrong


def differing_folder(output: Path, expected: Path) -> tuple[str, ...]:
    """Names of files that are not those of the undisturbed run."""
    return tuple(
        f"a wrong file: {path.name}"
        for path in output.rglob("*")
        if path.is_file() and file_digest(path) != file_digest(expected / path.relative_to(output))
    )


def harmed(bench: Bench, folders: Path | None, rounds: int, seed: int, shape: str = "native") -> Iterator[Finding]:
    """Bit flips, cuts and zeroed blocks at random places, in zips and, for convert, in files of folders."""
    for outcome in map_items(try_harmed, draw_harms(bench, folders, rounds, seed, shape), workers=2, quiet=True):
        harm = outcome.item
        told, wrong = outcome.value or (outcome.error, (f"not a named error: {outcome.error}",))
        where = f"{harm.product.name[:31]} {harm.file or 'zip'} {harm.how} at {harm.share:.4f}: {told}"
        yield Finding(f"{bench.stage}: damage, {'file' if harm.file else 'zip'}", where, wrong)


def missing_files(bench: Bench, folder: Path, shape: str = "native") -> Iterator[Finding]:
    """A product without one of its files: the error names it. Without a manifest it is converted, and says so."""
    product = sorted(folder.glob("*.SEN3"))[0]
    for file in (*REQUIRED_FILES, MANIFEST):
        harm = bench.scratch / f"without-{file}"
        copy = harm / product.name
        copy.mkdir(parents=True)
        for path in product.iterdir():
            if path.name != file:
                os.link(path, copy / path.name)
        told, wrong = _convert_copy(copy, harm, bench, shape)
        if told == "right" and file != MANIFEST:
            wrong.append("converted without it")
        elif told != "right" and (str(copy) not in told or file not in told or file == MANIFEST):
            wrong.append(f"the error does not name it: {told}")
        shutil.rmtree(harm)
        yield Finding(f"{bench.stage}: missing file", f"{file}: {told}", tuple(wrong))


def _convert_copy(product: Path, harm: Path, bench: Bench, shape: str) -> tuple[str, list[str]]:
    try:
        shard = convert_product(product, ConvertConfig(product, harm / "out", shape=shape)).path
    except UserError as error:
        return str(error), []
    expected = bench.scratch / "undisturbed" / shard.relative_to(harm / "out")
    same = shard_digest(shard, PROVENANCE) == shard_digest(expected, PROVENANCE)
    return "right", [] if same else ["a wrong shard"]


def many_bad_entries(bench: Bench, entries: int, seed: int) -> Iterator[Finding]:
    """A list of which nearly all entries are bad: all good ones are done, the list of failures names all the others."""
    draws = random.Random(seed)
    bad = bench.scratch / "bad"
    bad.mkdir()
    good = sorted(bench.inputs.glob("*.zip"))
    makers: tuple[Callable[[Path], object], ...] = (
        lambda path: None,
        lambda path: path.write_text("not a zip"),
        lambda path: path.touch(),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(good[0].read_bytes()[:3000]),
        lambda path: path.symlink_to(path),
    )
    listed = [*good]
    for number in range(entries - len(good) - 1):
        path = bad / f"{number}{draws.choice(('.zip', '.SEN3', ''))}"
        draws.choice(makers)(path)
        listed.append(path)
    listed.append(bad / ("long" * 100))
    draws.shuffle(listed)
    listing = bench.scratch / "many.txt"
    listing.write_text("\n".join(map(str, listed)) + "\n")
    output = bench.scratch / "many"
    with subprocess.Popen(
        command(bench, output, listing), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    found = [] if process.returncode == 3 else [f"it ended with {process.returncode}"]
    failures = [failure["item"] for failure in json.loads((output / "failures.json").read_text())]
    if sorted(failures) != sorted(str(path) for path in listed if path not in good):
        found.append("the list of failures is not that of the bad entries")
    (output / "failures.json").unlink()
    if digest(output) != bench.expected:
        found.append("the outputs are not those of an undisturbed run")
    found += [f"{name} remains" for name in temporary(output)]
    done = subprocess.run(command(bench, output), capture_output=True, timeout=LONGEST_S, check=False)
    if done.returncode or digest(output) != bench.expected:
        found.append(f"the rerun ended with {done.returncode}")
    what = f"{entries} entries, at most {usage.ru_maxrss // 1024} MB a process"
    yield Finding(f"{bench.stage}: bad entries", what, tuple(found))
    for path in (output, bad):
        shutil.rmtree(path)
