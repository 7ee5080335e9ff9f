"""Edge: the command that prints a script which completes stages, flags, choices and paths in a shell."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from jaxmask.completion_scripts import bash_script, fish_script, zsh_script
from jaxmask.flag_table import stage_flags
from jaxmask.stages import STAGES
from preprocess.command import run
from preprocess.errors import EXIT_DONE
from preprocess.flags import Output

SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


@dataclass(frozen=True)
class CompletionConfig(Output):
    """Print a script that completes stages, their flags, choices and paths: in bash, eval "$(jaxmask completion bash)"
    in ~/.bashrc, or keep its output where its first line says. It needs no Python when it completes."""

    shell: Positional[Annotated[Literal["bash", "zsh", "fish"], arg(metavar="bash|zsh|fish")]]
    """The shell that it is for."""


def main(config: CompletionConfig) -> int:
    """Print the script, which --quiet leaves, as it is what was asked for; returns the exit code."""
    script = SCRIPTS[config.shell]({stage: stage_flags(stage) for stage in STAGES})
    print(json.dumps({"shell": config.shell, "script": script}) if config.json else script.rstrip())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run("jaxmask.completion", CompletionConfig, main))
