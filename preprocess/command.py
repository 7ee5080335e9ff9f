"""Edge: what every command shares: flags from a frozen dataclass, messages on stderr, exit codes."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

from preprocess.errors import (
    EXIT_CRASH,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    EXIT_TERMINATED,
    EXIT_USAGE,
    UserError,
)
from preprocess.files import write_json
from preprocess.flag_help import read_flags
from preprocess.flags import Output, Parallel, check
from preprocess.names import item_name
from preprocess.pool import Item, Outcome, T
from preprocess.terminal import log, log_to_stderr, tell_error

__all__ = ["Failure", "Output", "Parallel", "Terminated", "check", "finish", "log", "print_summary", "run"]

Config = TypeVar("Config", bound="Output")
FAILURES_NAME = "failures.json"
MOST_TOLD = 20  # failures of different kinds on stderr; the list has all of them
USER_ERRNOS = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EAGAIN, errno.ENOMEM,
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.EIO, errno.ESTALE,
    errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Failure:
    """One item that could not be done, and why."""

    item: str
    error: str


class Terminated(BaseException):
    """SIGTERM, raised where the program is, so that partial files are cleaned up on the way out."""


def parse(
    config_type: type[Config], prog: str, argv: Sequence[str] | None = None, default: Config | None = None
) -> Config:
    """Return `argv`, by default the process's, as a `config_type`; `default` holds what flags are where left out."""
    typed = called(prog)
    return read_flags(config_type, f"python -m {prog}" if typed == prog else typed, argv, default)


def called(prog: str) -> str:
    """What the user has called the module `prog`: that, or `jaxmask STAGE`."""
    stage = prog.rpartition(".")[2]
    # Python, its -m perhaps, jaxmask and the stage: sys.argv names the module's file by now.
    words = [Path(word).name for word in sys.orig_argv[:4]]
    return f"jaxmask {stage}" if ("jaxmask", stage) in pairwise(words) else prog


def run(
    prog: str,
    config_type: type[Config],
    main: Callable[[Config], int],
    argv: Sequence[str] | None = None,
    *,
    parse: Callable[[type[Config], str, Sequence[str] | None], Config] = parse,
) -> int:
    """Parse `argv` into `config_type`, call `main`, and return the exit code that design.md gives to what happened."""
    _terminate_politely()
    typed = called(prog)
    try:
        config = parse(config_type, prog, argv)
        log_to_stderr(quiet=config.quiet)
        code = main(config)
        sys.stdout.flush()
        return code
    except UserError as error:
        tell_error(f"{typed}: error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        tell_error(f"{typed}: interrupted; whatever was finished is whole, run the same command to go on")
        return EXIT_INTERRUPTED
    except Terminated:
        tell_error(f"{typed}: terminated; whatever was finished is whole, run the same command to go on")
        return EXIT_TERMINATED
    except BrokenPipeError:
        # Whoever read our output has had enough (| head); Python must not try to flush the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except OSError as error:
        if error.errno not in USER_ERRNOS:
            return _crash(typed)
        tell_error(f"{typed}: error: {error.filename or 'output'}: {error.strerror}; mend this and run again")
        return EXIT_USAGE
    except Exception:
        return _crash(typed)


def finish(
    config: Output, summary: dict[str, Any], failures: Sequence[Failure], folder: Path, name: str = FAILURES_NAME
) -> int:
    """Write or clear `folder/failures.json`, print failures and summary; return exit code 0, or 3 if any failed.

    Where several commands write to one folder, each has its own `name` for the list. What failed alike is told once.
    `summary["message"]` is the line for people; the whole of it, with the failures, is what `--json` prints.
    """
    listing = folder / name
    if failures:
        for failure, others in _alike(failures)[:MOST_TOLD]:
            told = failure.error if failure.error.startswith(failure.item) else f"{failure.item}: {failure.error}"
            log.error("failed: %s%s", told, f" ({others} more failed likewise)" if others else "")
        log.error("%d failed; %s", len(failures), _list_failures(failures, listing))
    else:
        listing.unlink(missing_ok=True)
    print_summary(config, summary | {"failures": [dataclasses.asdict(failure) for failure in failures]})
    return EXIT_SOME_FAILED if failures else EXIT_DONE


def _alike(failures: Sequence[Failure]) -> list[tuple[Failure, int]]:
    """The first of those that failed for one reason, but for their names, and how many others did."""
    groups: dict[str, list[Failure]] = {}
    for failure in failures:
        name = item_name(failure.item)
        groups.setdefault(failure.error.replace(name, "") if name else failure.error, []).append(failure)
    return [(group[0], len(group) - 1) for group in groups.values()]


def _list_failures(failures: Sequence[Failure], listing: Path) -> str:
    """Write the list; returns where it is, or why it can't be: what a full disk let through is told all the same."""
    try:
        listing.parent.mkdir(parents=True, exist_ok=True)
        write_json(listing, [dataclasses.asdict(failure) for failure in failures])
    except OSError as error:
        return f"their list {listing} can't be written ({error.strerror}); --json prints it"
    return f"all of them are listed in {listing}"


def sort_out(
    outcomes: Iterable[Outcome[Item, T]], label: Callable[[Item], object] = str
) -> tuple[list[T], list[Failure]]:
    """The values of the items that could be done, and the failures of the others, which `label` names."""
    values, failures = [], []
    for outcome in outcomes:
        if outcome.error is not None:
            failures.append(Failure(str(label(outcome.item)), outcome.error))
        else:
            values.append(cast(T, outcome.value))
    return values, failures


def print_summary(config: Output, summary: dict[str, Any]) -> None:
    """Print `summary` as JSON to stdout if asked to, else its "message" to stderr."""
    if config.json:
        print(json.dumps(summary, allow_nan=False))
    else:
        log.info("%s", summary["message"])


def _terminate_politely() -> None:
    def handler(signum: int, frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, handler)


def _crash(prog: str) -> int:
    traceback.print_exc()
    tell_error(f"{prog}: this is a bug in jaxmask; please report it with the lines above")
    return EXIT_CRASH
