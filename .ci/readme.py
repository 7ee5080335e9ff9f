"""Run every `sh` and `python` block of the README and of the documentation's pages, in one scratch folder.

    .ci/readme.py [PAGE...]        by default README.md, then the pages in the order of docs/index.md

The blocks of a page run in order, `sh` ones with `bash -e`, with the installed `python` first on the path, with one
epoch where they say 30, of a small network, and few products where they say 24. What a page leaves is there for the
next. `make` lines are left out: .ci/run has run them. Blocks in `bash` need what CI lacks, and say so in their first
line (tests/test_docs.py). The scratch folder starts with what the README says the user has: a small simulated archive,
shards in the original's layout, and where ../shared has one a Keras model that the original saved.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import h5py

ROOT = Path(__file__).resolve().parents[1]
INTERPRETERS = {"sh": ("bash", "-ec"), "python": ("python", "-c")}
REFERENCE = ROOT.parent / "shared" / "reference"

CLOUDMASK = """\
benchmark: CloudMask
train_dir: published_hdf
inference_dir: published_hdf
model_file: mlcommons/cloudModel.h5
output_dir: mlcommons
log_file: cloudMask_Log
mlperf_logfile: mlperf_cloudmask.log
epochs: 1
batch_size: 8
train_split: 0.4
"""


def pages() -> list[Path]:
    """The README, then the documentation's pages as its table of contents lists them."""
    contents = re.findall(
        r"^```{toctree}\n(.*?)^```", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE | re.DOTALL
    )
    names = [
        re.sub(r".*<(.*)>", r"\1", line) for part in contents for line in part.split("\n\n", 1)[1].split("\n") if line
    ]
    return [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("index", *names))]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of the blocks, `sh` ones less their `make` lines."""
    found = re.findall(r"^ *```(sh|python)\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    kept = [
        (language, re.sub(r"^ *make .*\n", "", textwrap.dedent(text), flags=re.MULTILINE)) for language, text in found
    ]
    return [(language, shortened(text)) for language, text in kept if text.strip()]


def shortened(text: str) -> str:
    """The block's text with less to do."""
    lines = []
    for line in text.split("\n"):
        small = "--epochs 1" if "--features" in line else "--epochs 1 --features 4"
        lines.append(line.replace("--epochs 30", small).replace("--products 24", "--products 5 --seed 3"))
    return "\n".join(lines)


def furnish(scratch: Path) -> None:
    """Make what the README's user has on disk: a list of zips, match-ups, published shards, a published model."""
    simulate = [
        "preprocess.simulate",
        "archive/",
        "--products",
        "5",
        "--size",
        "small",
        "--seed",
        "3",
        "--views",
        "nadir,oblique",
    ]
    convert = ["preprocess.convert", "archive/", "ours/", "--convention", "reference", "--rads"]
    for command in (simulate, convert):
        subprocess.run([sys.executable, "-m", *command], cwd=scratch, check=True)
    shutil.copy(scratch / "archive" / "file_list.txt", scratch)
    shutil.copy(scratch / "archive" / "sst_matchups.h5", scratch)
    # file_list.txt names zips relative to itself
    for path in (scratch / "archive").glob("*.zip"):
        path.rename(scratch / path.name)
    for path in sorted((scratch / "ours").glob("*/*.hdf"))[:3]:
        copy = scratch / "published_hdf" / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path) as ours, h5py.File(copy, "w") as published:
            for name in ("bts", "rads", "refs", "bayes", "summary"):
                published[name] = ours[name][...].astype("f8")
    (scratch / "cloudMaskConfig.yaml").write_text(CLOUDMASK)
    if REFERENCE.exists():
        shutil.copy(REFERENCE / "keras_model_A.h5", scratch / "model.h5")


def run(page: Path, scratch: Path) -> int:
    """Run the page's blocks; returns how many. CalledProcessError where one fails."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = 0
    for language, block in blocks(page):
        if "model.h5" in block and not REFERENCE.exists():
            print(f"{page.name}: a block is left out: it needs a published model.h5, and ../shared is not here")
            continue
        print(f"\n$ {block.rstrip()}", flush=True)
        subprocess.run([*INTERPRETERS[language], block], cwd=scratch, env=environment, check=True)
        ran += 1
    return ran


def main() -> None:
    """Run the pages; exit with 1 at the first block that fails, and name its page."""
    wanted = [Path(name).resolve() for name in sys.argv[1:]] or pages()
    told = []
    with tempfile.TemporaryDirectory() as name:
        furnish(Path(name))
        for page in wanted:
            begun = time.monotonic()
            try:
                ran = run(page, Path(name))
            except subprocess.CalledProcessError as error:
                sys.exit(f"{page.relative_to(ROOT)}: a block ended with exit code {error.returncode}; it is above")
            if ran:
                told.append(f"{page.relative_to(ROOT)}: {ran} blocks in {time.monotonic() - begun:.0f} s")
    if not told:
        sys.exit(f"no block found in {len(wanted)} pages")
    print("\n" + "\n".join(told))


if __name__ == "__main__":
    main()
