"""Scripts that complete `jaxmask STAGE --flag VALUE` in bash, zsh and fish: whole by themselves, without any Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxmask.stages import Stage


@dataclass(frozen=True)
class Flag:
    """One flag, or one positional argument, of a stage."""

    name: str  # --learning-rate, or shards
    positional: bool
    switch: bool  # takes no value
    path: bool  # or a text, which may name a file
    choices: tuple[str, ...]
    purpose: str  # the first sentence of what its help says


Table = Mapping[Stage, Sequence[Flag]]

LONGEST_PURPOSE = 60
GLOBAL_FLAGS = {"--help": "show the map of the stages", "--version": "show the version"}
HELP = Flag("--help", False, True, False, (), "show the flags and exit")

BASH = """\
# Completion of jaxmask in bash: source this, or keep it as ~/.local/share/bash-completion/completions/jaxmask
_jaxmask() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" flags="" choices="" file=""
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W "{stages}" -- "$cur"))
        return
    fi
    case "${{COMP_WORDS[1]}} $prev" in
{values}
    esac
    case "${{COMP_WORDS[1]}} $COMP_CWORD" in
{positionals}
    esac
    if [[ -n $choices ]]; then
        COMPREPLY=($(compgen -W "$choices" -- "$cur"))
        return
    fi
    [[ $file == no ]] && return
    if [[ -z $file && $cur == -* ]]; then
        case "${{COMP_WORDS[1]}}" in
{flags}
        esac
        COMPREPLY=($(compgen -W "$flags" -- "$cur"))
        return
    fi
    compopt -o filenames 2>/dev/null
    local IFS=$'\\n'
    COMPREPLY=($(compgen -f -- "$cur"))
}}
complete -F _jaxmask jaxmask
"""

ZSH = """\
#compdef jaxmask
# Completion of jaxmask in zsh: keep this as _jaxmask in a folder of $fpath, or source it after compinit.
_jaxmask() {{
    local context state state_descr line
    typeset -A opt_args
    if (( CURRENT == 2 )); then
        local -a stages=(
{stages}
        )
        _describe stage stages
        return
    fi
    local stage=$words[2]
    shift words
    (( CURRENT-- ))
    case $stage in
{cases}
    esac
}}
if [[ $funcstack[1] == _jaxmask ]]; then
    _jaxmask "$@"
else
    compdef _jaxmask jaxmask
fi
"""


def bash_script(table: Table) -> str:
    """Return the script for bash, 3.2 and later."""
    names = " ".join([*(stage.name for stage in table), *GLOBAL_FLAGS])
    values, flags = [], []
    for stage, found in table.items():
        flags.append(f"        {stage.name}) flags={shlex.quote(' '.join(_names(found)))} ;;")
        for flag in (flag for flag in found if not flag.positional and not flag.switch):
            means = f"choices={shlex.quote(' '.join(flag.choices))}" if flag.choices else ""
            means = means or ("file=yes" if flag.path else "file=no")
            values.append(f"        {shlex.quote(f'{stage.name} {flag.name}')}) {means} ;;")
    chosen = [(stage, flag) for stage, found in table.items() for flag in found if flag.positional and flag.choices]
    positionals = [
        f"        '{stage.name} 2') choices={shlex.quote(' '.join(flag.choices))} ;;" for stage, flag in chosen
    ]
    return BASH.format(
        stages=names, values="\n".join(values), positionals="\n".join(positionals), flags="\n".join(flags)
    )


def zsh_script(table: Table) -> str:
    """Return the script for zsh."""
    stages = "\n".join(f"            {shlex.quote(f'{stage.name}:{stage.purpose}')}" for stage in table)
    cases = []
    for stage, found in table.items():
        specs = [_zsh_spec(flag) for flag in (*found, HELP) if not flag.positional]
        chosen = [f"'*:{flag.name}:({' '.join(flag.choices)})'" for flag in found if flag.positional and flag.choices]
        body = " \\\n                ".join(["_arguments -S", *specs, *(chosen or ["'*:path:_files'"])])
        cases.append(f"        {stage.name})\n            {body} ;;")
    return ZSH.format(stages=stages, cases="\n".join(cases))


def fish_script(table: Table) -> str:
    """Return the script for fish, 3.0 and later."""
    lines = [
        "# Completion of jaxmask in fish: keep this as ~/.config/fish/completions/jaxmask.fish",
        "complete -c jaxmask -e",
        *(
            f"complete -c jaxmask -f -n __fish_use_subcommand -l {flag[2:]} -d {_fish_quoted(purpose)}"
            for flag, purpose in GLOBAL_FLAGS.items()
        ),
        *(
            f"complete -c jaxmask -f -n __fish_use_subcommand -a {stage.name} -d {_fish_quoted(stage.purpose)}"
            for stage in table
        ),
    ]
    for stage, found in table.items():
        for flag in (flag for flag in found if flag.positional and flag.choices):
            where = f"-n '__fish_seen_subcommand_from {stage.name}'"
            lines.append(f"complete -c jaxmask {where} -f -a {_fish_quoted(' '.join(flag.choices))}")
        for flag in (flag for flag in (*found, HELP) if not flag.positional):
            value = "-f" if flag.switch else "-r -F" if flag.path and not flag.choices else "-x"
            value += f" -a {_fish_quoted(' '.join(flag.choices))}" if flag.choices else ""
            where = f"-n '__fish_seen_subcommand_from {stage.name}'"
            lines.append(f"complete -c jaxmask {where} -l {flag.name[2:]} {value} -d {_fish_quoted(_short(flag))}")
    return "\n".join(lines) + "\n"


def _names(flags: Sequence[Flag]) -> list[str]:
    return [flag.name for flag in (*flags, HELP) if not flag.positional]


def _zsh_spec(flag: Flag) -> str:
    # Brackets and colons part what _arguments reads.
    told = "".join(f"\\{letter}" if letter in "[]:\\" else letter for letter in _short(flag))
    if flag.switch:
        value = ""
    elif flag.choices:
        value = f":value:({' '.join(flag.choices)})"
    else:
        value = ":path:_files" if flag.path else ":value: "
    return shlex.quote(f"{flag.name}[{told}]{value}")


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _short(flag: Flag) -> str:
    words, told = flag.purpose.split(), ""
    for word in words:
        if len(told) + len(word) + 1 > LONGEST_PURPOSE:
            return told + " ..."
        told = f"{told} {word}".lstrip()
    return told
