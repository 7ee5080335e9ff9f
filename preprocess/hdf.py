"""Edge: HDF5 files put on disk whole, by a writer whose disk may be full."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from preprocess.files import whole_file

# Of HDF5 1.10 (2016) and later: the first whose headers and chunk indices all have checksums.
FILE_FORMAT = ("v110", "v110")


@contextmanager
def new_hdf(path: Path) -> Iterator[h5py.File]:
    """Yield an empty HDF5 file; when it is complete it appears as `path`, else nothing does.

    HDF5 itself must not meet a full disk: h5py 3.16 with HDF5 2.0 loses the error of what could not be written while
    its file or dataset is closed, and then crashes. So it writes through a file that keeps its first failure to
    itself, until HDF5 is done with it; then that OSError is raised, and names `path`.
    """
    with whole_file(path) as partial, _Disk(partial, "w+") as disk:
        try:
            with h5py.File(disk, "w", libver=FILE_FORMAT) as file:
                yield file
        finally:
            if disk.failure is not None:
                raise disk.failure


class _Disk(io.FileIO):
    """A file that claims to be written, even where it can't be: `failure` is the first error."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.failure is None:
            rest = rest[self._try(super().write, rest) or 0 :]
        return size

    def truncate(self, size: int | None = None) -> int:
        self._try(super().truncate, size)
        return self.tell() if size is None else size

    def _try(self, change: Callable[[Any], int | None], value: Any) -> int | None:
        if self.failure is None:
            try:
                return change(value)
            except OSError as error:
                self.failure = error
        return None
