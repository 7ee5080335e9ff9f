"""The reference of every command, made from its flags when the site is built: `<!-- commands -->` becomes it.

Flags, their types, defaults and words are those that `--help` prints: tyro's parser of the class that jaxmask.stages
names.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tyro

from jaxmask.stages import STAGES
from launch.local import LocalConfig

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARK = "<!-- commands -->"
LAUNCHER = "launch.local"
USUAL = ("0", "1", "2", "130", "143")
# A name in a module's source by which it can end with a further exit code.
SIGNS = {"3": ("finish", "conclude", "EXIT_SOME_FAILED"), "69": ("join_others", "EXIT_LOST"), "75": ("EXIT_SAVED",)}
SHARED_LINE = {"quiet", "json"}


@dataclass(frozen=True)
class Flag:
    """One argument as `--help` has it. positional: without dashes; default: as printed, None if there is none."""

    name: str
    metavar: str
    default: str | None
    text: str
    positional: bool


@dataclass(frozen=True)
class Command:
    """A command: `python -m MODULE`, what it is for, its arguments and the exit codes that it can end with."""

    stage: str
    module: str
    purpose: str
    flags: tuple[Flag, ...]
    exit_codes: tuple[str, ...]
    config: type[Any]


def commands() -> list[Command]:
    """Every stage of `jaxmask`, and the launcher."""
    return [
        *(_command(stage.name, stage.module, stage.flags()) for stage in STAGES),
        _command("", LAUNCHER, LocalConfig),
    ]


def _command(stage: str, module: str, config: type[Any]) -> Command:
    source = inspect.getsource(importlib.import_module(module))
    if module == "jaxmask.mlcommons":  # it trains
        source += inspect.getsource(importlib.import_module("jaxmask.train"))
    found = [code for code, signs in SIGNS.items() if any(re.search(rf"\b{sign}\b", source) for sign in signs)]
    codes = sorted({*USUAL, *found}, key=int)
    purpose = " ".join((inspect.getdoc(config) or "").split())
    return Command(stage, module, purpose, tuple(_flags(config)), tuple(codes), config)


def _flags(config: type[Any]) -> list[Flag]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the one way to tyro's arguments that is not private
        parser = tyro.extras.get_parser(config, config=(tyro.conf.FlagCreatePairsOff,))
    return [_flag(action) for action in parser._actions if action.dest != "help"]


def _flag(action: argparse.Action) -> Flag:
    words = " ".join((action.help or "").split())
    match = re.fullmatch(r"(.*?)\s*\((required|default: (.*))\)", words)
    text, default = (match[1], match[3]) if match else (words, None)
    metavar = _shown(str(action.metavar or ""))
    positional = not action.option_strings
    if action.nargs == 0:
        metavar = ""
    optional = not positional and default is not None
    name = (action.dest if positional else action.option_strings[0]).strip("[]")
    return Flag(name if not positional else (metavar or name), metavar, default if optional else None, text, positional)


def _shown(metavar: str) -> str:
    """tyro's metavar less its outer brackets, and `INT or None` as INT: None is what leaving it out means."""
    bare = re.sub(r"^\[\[?(\w+) \[\1 \.\.\.\]\]\]?$", r"\1 ...", metavar)
    return bare.removeprefix("{None}|")


def markdown(command: Command) -> str:
    """The command's chapter in MyST."""
    prog = f"python -m {command.module}"
    positionals = [flag.name for flag in command.flags if flag.positional]
    usage = " ".join([prog, *positionals, "[flags]"])
    if command.module == LAUNCHER:
        usage += " -- COMMAND"
    also = f"\njaxmask {command.stage} {' '.join([*positionals, '[flags]'])}" if command.stage else ""
    lines = [
        f"## {command.stage or command.module}",
        "",
        _escaped(command.purpose),
        "",
        f"```text\n{usage}{also}\n```",
        "",
    ]
    lines += ["```{program} " + command.module + "\n```", ""]
    for flag in sorted(command.flags, key=lambda each: (not each.positional, each.name.strip("-") in SHARED_LINE)):
        lines += _entry(flag)
    codes = ", ".join(command.exit_codes)
    return "\n".join([*lines, f"[Exit codes](exit-codes.md): {codes}.", ""])


def _entry(flag: Flag) -> list[str]:
    head = flag.name if flag.positional else f"{flag.name} {flag.metavar}".strip()
    default = ""
    if flag.default not in (None, "None", "False", ""):
        default = f" Default: `{flag.default}`."
    return ["```{option} " + head, f"{_escaped(flag.text)}{default}", "```", ""]


def _escaped(text: str) -> str:
    """Help text as Markdown shows it letter by letter, flags and their values as code."""
    plain = re.sub(r"([*_<>\[\]{}|\\$`~])", r"\\\1", text)
    return re.sub(r"(?<![\w-])(--[a-z][a-z\\_-]*)", lambda match: f"`{match[1]}`", plain)


def _fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, "\n".join(markdown(command) for command in commands()))


def _note_sources(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> set[str]:
    """The page is made anew at each build: nothing tells Sphinx that a class of flags has changed."""
    return {"reference/commands"} & set(env.found_docs)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", _fill_in)
    app.connect("env-get-outdated", _note_sources)
    return {"parallel_read_safe": True}


def fields_of(config: type[Any]) -> set[str]:
    """The names of the fields of a class of flags."""
    return {field.name for field in dataclasses.fields(config)}
