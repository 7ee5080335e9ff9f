"""The flags that commands share, and the one way a flag's value is refused."""

from __future__ import annotations

import dataclasses

from preprocess.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """The flags that every command has."""

    quiet: bool = False
    """Print nothing but warnings and errors."""
    json: bool = False
    """Print the summary as JSON, alone, to standard output."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parallel(Output):
    """The flags of commands that go over many items."""

    workers: int | None = None
    """Processes on this machine; by default the cores this process may use; 0 works in the process itself."""
    scheduler: str | None = None
    """Address of an existing Dask scheduler (tcp://host:port), instead of local processes; its workers must have the
    same version installed and see the same files under the same paths."""

    def __post_init__(self) -> None:
        check(self.workers is None or self.workers >= 0, "workers", "0 or more", self.workers)


def check(holds: bool, flag: str, bound: str, value: object) -> None:
    """Raise UserError naming the flag, its bound and the value found, unless `holds`."""
    if not holds:
        raise UserError(f"--{flag.replace('_', '-')} must be {bound}; found {value}")
