"""Edge: flags of a command from its command line and from the file that --config names; the command line wins."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import tyro

from jaxmask.config import SUPERSEDED
from jaxmask.config_file import ConfigFile, read_config_file
from preprocess import command
from preprocess.errors import UserError
from preprocess.flags import Output

Config = TypeVar("Config", bound=Output)

HELP = ("-h", "--help")


def parse(config_type: type[Config], prog: str, argv: Sequence[str] | None = None) -> Config:
    """Return `argv` as a `config_type`, with flags that it leaves out taken from the file that its --config names.

    Fields without a default, the positional ones, may be in the file too. Raises UserError naming file and line.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    words = _split_words(argv, config_type)
    if "config" not in words.flags:
        return command.parse(config_type, prog, argv)
    file = read_config_file(Path(words.flags["config"]), config_type)
    hidden = {*words.flags, *(other for name in words.flags for other in SUPERSEDED.get(name, ()))}
    values = {setting.name: setting.value for setting in file.settings if setting.name not in hidden}
    if not any(word in argv for word in HELP):
        argv = _with_positionals(words, values, file.path, config_type)
    try:
        return command.parse(config_type, prog, argv, default=_unchecked(config_type, values))
    except UserError as error:
        raise _located(error, file, values) from error


@dataclass(frozen=True)
class _Words:
    flags: dict[str, str]  # by name with underscores; empty where a flag takes no value
    flag_words: list[str]
    positionals: list[str]


def _split_words(argv: Sequence[str], config_type: type[Output]) -> _Words:
    """Tell flags from positional arguments: all but those of bool fields take one value."""
    hints = get_type_hints(config_type)
    words = _Words({}, [], [])
    rest = iter(argv)
    for word in rest:
        if not word.startswith("-"):
            words.positionals.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name = name.replace("-", "_")
        words.flag_words.append(word)
        if not equals and hints.get(name, bool) is not bool:
            value = next(rest, "")
            words.flag_words.append(value)
        words.flags[name] = value
    return words


def _with_positionals(words: _Words, values: dict[str, Any], path: Path, config_type: type[Output]) -> list[str]:
    """The command line with the positional arguments that the file gives put where they belong, and out of `values`."""
    fields = dataclasses.fields(config_type)
    names = [field.name for field in fields if field.default is dataclasses.MISSING]
    in_file = {name: str(values.pop(name)) for name in names if name in values}
    missing = [name for name in names if name not in in_file]
    found = words.positionals
    if len(found) == len(names) or not in_file:
        return [*words.flag_words, *found]
    if len(found) != len(missing):
        wanted = " and ".join(name.upper() for name in missing) or "none"
        raise UserError(
            f"{path} gives {' and '.join(name.upper() for name in in_file)}, so the command line must give {wanted}, "
            f"or all of {' '.join(names).upper()}; found {' '.join(found) or 'none'}"
        )
    given = in_file | dict(zip(missing, found, strict=True))
    return [*words.flag_words, *(given[name] for name in names)]


def _unchecked(config_type: type[Config], values: Mapping[str, Any]) -> Config:
    """An instance that was never initialised: what goes together is checked when the command line is in it too."""
    made = object.__new__(config_type)
    for field in dataclasses.fields(config_type):
        default = tyro.MISSING if field.default is dataclasses.MISSING else field.default
        object.__setattr__(made, field.name, values.get(field.name, default))
    return made


def _located(error: UserError, file: ConfigFile, values: Mapping[str, Any]) -> UserError:
    """The error with file and line, if the flag that it begins with came from the file."""
    named = re.match(r"--([a-z-]+)", str(error))
    name = named[1].replace("-", "_") if named else ""
    lines = [setting.line for setting in file.settings if setting.name == name and name in values]
    return UserError(f"{file.path}, line {lines[0]}: {error}") if lines else error
