"""What can go wrong through no fault of the program, and the exit codes that say so."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_CRASH = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_SAVED = 75
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class UserError(Exception):
    """Something the user can mend.

    The message is one or two sentences that name the file or flag, what was expected, what was found
    and what to do. Commands print it without a traceback: exit code 2 when nothing was started,
    and one line of `failures.json` when it concerns a single item of many.
    """
