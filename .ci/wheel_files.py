"""Hold what is in an sdist and in two wheels of it against what must and what mustn't be there.

    python .ci/wheel_files.py jaxmask-0.1.0.tar.gz FROM_SDIST.whl FROM_CLONE.whl

Exits with a message that names what is missing, too much, or different.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("jaxmask", "preprocess", "launch")
# What a person who has the sdist alone needs to build, test and cite.
IN_SDIST = ("pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "requirements.lock")


def expected() -> set[str]:
    """Every file of the rooms that git knows, or would know, of: a wheel holds these and its own metadata."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *ROOMS]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return {name for name in listed if (ROOT / name).exists()}


def contents(wheel: Path) -> dict[str, bytes]:
    """Every file of a wheel, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def in_sdist(sdist: Path) -> set[str]:
    """Every file of an sdist, by its name below the folder of name and version."""
    with tarfile.open(sdist) as archive:
        return {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()}


def complaints(sdist: Path, from_sdist: Path, from_clone: Path) -> list[str]:
    """What is wrong, a line each."""
    wheel, other = contents(from_sdist), contents(from_clone)
    found = {name for name in wheel if PurePosixPath(name).parts[0] in ROOMS}
    metadata = {name for name in wheel if ".dist-info/" in name}
    wrong = [f"not in the wheel: {name}" for name in sorted(expected() - found)]
    wrong += [f"in the wheel, but not in the clone: {name}" for name in sorted(found - expected())]
    wrong += [f"not to be in a wheel: {name}" for name in sorted(set(wheel) - found - metadata)]
    differing = [name for name in wheel.keys() | other.keys() if wheel.get(name) != other.get(name)]
    wrong += [f"differs between the wheels from sdist and clone: {name}" for name in sorted(differing)]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in metadata):
        wrong.append("the wheel holds no licence")
    wrong += [f"not in the sdist: {name}" for name in sorted({*IN_SDIST, *expected()} - in_sdist(sdist))]
    return wrong


if __name__ == "__main__":
    sdist, from_sdist, from_clone = map(Path, sys.argv[1:])
    if wrong := complaints(sdist, from_sdist, from_clone):
        sys.exit("\n".join(wrong))
    print(f"{from_sdist.name}: {len(contents(from_sdist))} files, {from_sdist.stat().st_size:,} bytes")
