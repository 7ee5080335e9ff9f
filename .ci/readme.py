"""Run every `sh` block of the README in a scratch folder that holds what the README says the user has.

The blocks run in order, each with `bash -e`, with the installed `python` first on the path. `make` lines are left
out: .ci/run has run them. The scratch folder starts with a small simulated archive and a Keras model of the
original's layout where ../shared has one.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"


def blocks(readme: Path) -> list[str]:
    """The `sh` blocks, less their `make` and `git` lines."""
    found = re.findall(r"^```sh\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
    kept = ["\n".join(line for line in block.splitlines() if not line.startswith(("make ", "git "))) for block in found]
    return [block for block in kept if block.strip()]


def main() -> None:
    """Run the blocks; exit with the first failing one's code."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as scratch:
        simulate = ["-m", "preprocess.simulate", "archive/", "--products", "8", "--size", "small", "--seed", "3"]
        subprocess.run([sys.executable, *simulate], cwd=scratch, check=True)
        shutil.copy(Path(scratch, "archive", "file_list.txt"), scratch)
        shutil.copy(Path(scratch, "archive", "sst_matchups.h5"), scratch)
        if REFERENCE.exists():
            shutil.copy(REFERENCE / "keras_model_A.h5", Path(scratch, "model.h5"))
        found = blocks(Path(sys.argv[1]))
        if not found:
            sys.exit("no sh block found in the README")
        for block in found:
            if "model.h5" in block and not REFERENCE.exists():
                print("left out: needs a published model.h5, and ../shared is not here")
                continue
            print(f"\n$ {block.rstrip()}", flush=True)
            subprocess.run(["bash", "-ec", block], cwd=scratch, env=environment, check=True)
        print(f"{len(found)} README blocks ran")


if __name__ == "__main__":
    main()
