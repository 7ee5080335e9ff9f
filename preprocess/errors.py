"""What can go wrong through no fault of the program, and the exit codes that say so."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_CRASH = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_LOST = 69  # EX_UNAVAILABLE of sysexits.h
EXIT_SAVED = 75
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class UserError(Exception):
    """Something the user can mend.

    The message is one or two sentences that name the file or flag, what was expected, what was found
    and what to do. Commands print it without a traceback: exit code 2 when nothing was started,
    and one line of `failures.json` when it concerns a single item of many.
    """

    exit_code = EXIT_USAGE


class DiskFullError(UserError):
    """There is no room for one item: it would be the same with the next."""


class LostOthersError(UserError):
    """Another process of the same training is gone; exit code 69: whoever started them may run all of them again."""

    exit_code = EXIT_LOST
