"""Run every `sh` and `python` block of the README in a scratch folder that holds what the README says the user has.

The blocks run in order, `sh` ones with `bash -e`, with the installed `python` first on the path, and with one epoch of
a small network where they say 30. `make` lines are left out: .ci/run has run them. The scratch folder starts with a
small simulated archive, shards in the original's layout, and where ../shared has one a Keras model that the original
saved.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
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


def blocks(readme: Path) -> list[tuple[str, str]]:
    """Language and text of the blocks, `sh` ones less their `make` and `git` lines."""
    found = re.findall(r"^```(sh|python)\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
    kept = [(language, re.sub(r"^make .*\n", "", text, flags=re.MULTILINE)) for language, text in found]
    return [(language, text.replace("--epochs 30", "--epochs 1 --features 4")) for language, text in kept if text]


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


def main() -> None:
    """Run the blocks; exit with the first failing one's code."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    found = blocks(Path(sys.argv[1]))
    if not found:
        sys.exit("no block found in the README")
    with tempfile.TemporaryDirectory() as name:
        furnish(Path(name))
        for language, block in found:
            if "model.h5" in block and not REFERENCE.exists():
                print("left out: needs a published model.h5, and ../shared is not here")
                continue
            print(f"\n$ {block.rstrip()}", flush=True)
            subprocess.run([*INTERPRETERS[language], block], cwd=name, env=environment, check=True)
    print(f"{len(found)} README blocks ran")


if __name__ == "__main__":
    main()
