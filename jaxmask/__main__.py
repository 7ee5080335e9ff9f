"""Edge: `jaxmask STAGE ...`, the same as `python -m jaxmask.STAGE ...`; alone it prints the map of the stages."""

from __future__ import annotations

import runpy
import sys
from importlib.metadata import version

from jaxmask.stages import Stage, no_such_stage, stage_map, stage_named
from preprocess.errors import EXIT_DONE, EXIT_USAGE

HELP = ("-h", "--help")


def main() -> None:
    """Run the stage that the first argument names, or print the map, the version or what is wrong, and exit."""
    name, flags = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else (HELP[0], [])
    if name in (*HELP, "help"):
        print(stage_map())
        sys.exit(EXIT_DONE)
    if name in ("--version", "-V"):
        print(f"jaxmask {version('jaxmask')}")
        sys.exit(EXIT_DONE)
    stage = stage_named(name)
    if stage is None:
        from preprocess.terminal import tell_error

        tell_error(f"jaxmask: error: {no_such_stage(name)}")
        sys.exit(EXIT_USAGE)
    sys.argv = [f"jaxmask {name}", *flags]
    if any(word in HELP for word in flags) and "--config" not in flags:
        _print_help(stage, flags)
    runpy.run_module(stage.module, run_name="__main__", alter_sys=True)


def _print_help(stage: Stage, flags: list[str]) -> None:
    """Print the flags and exit; of the stage that has them nothing else is imported."""
    from preprocess.command import parse

    parse(stage.flags(), stage.module, flags)


if __name__ == "__main__":
    main()
