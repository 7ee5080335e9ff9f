"""HDF5 files appear whole; a full disk is an error that names them, not a crash."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from preprocess.hdf import new_hdf

ROOT = Path(__file__).resolve().parents[1]
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from preprocess.hdf import new_hdf
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    with new_hdf(Path(sys.argv[1])) as file:
        file.create_dataset("a", data=np.random.default_rng(0).random((300, 300)), chunks=(128, 128))
except OSError as error:
    print(error.errno, error.filename, flush=True)
"""


@pytest.mark.quick
def test_a_file_is_as_h5py_writes_it_and_appears_at_the_end(tmp_path: Path) -> None:
    values = np.arange(12.0).reshape(3, 4)
    with new_hdf(tmp_path / "x.h5") as file:
        file.create_dataset("a", data=values, chunks=(2, 2), compression="lzf")
        file.attrs["name"] = "x"
        assert not (tmp_path / "x.h5").exists()
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["a"], values)
        assert file.attrs["name"] == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_text("old")

    def fail() -> None:
        with new_hdf(tmp_path / "x.h5") as file:
            file["a"] = 1
            raise KeyError("a")

    with pytest.raises(KeyError):
        fail()
    assert (tmp_path / "x.h5").read_text() == "old"


@pytest.mark.parametrize("bytes_free", [1000, 100_000, 700_000])
def test_a_full_disk_is_an_error_about_the_file(tmp_path: Path, bytes_free: int) -> None:
    """The system refuses to let a file grow beyond a limit, as it would where no space is left."""
    target = tmp_path / "x.h5"
    command = [sys.executable, "-c", FULL, str(target), str(bytes_free)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{errno.EFBIG} {target}\n"
    assert not list(tmp_path.iterdir())
