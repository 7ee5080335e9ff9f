"""Edge: flags from a file, YAML or JSON."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from jaxmask.cloudmask_config import is_cloudmask, train_flags
from jaxmask.flag_values import flag_value
from jaxmask.mlperf_settings import Submission, submission_of
from jaxmask.results_row import DERIVED_NAMES
from preprocess.errors import UserError
from preprocess.flags import Output

# Of a run, not of its task: what a recorded run was told there must not be done to another one.
NOT_REPEATED = ("overwrite", "coordinator", "num_processes", "process_id", "quiet", "json")


@dataclass(frozen=True)
class Setting:
    """One entry of a file: its name with underscores, value, and line counted from 1."""

    name: str
    value: Any
    line: int


@dataclass(frozen=True)
class ConfigFile:
    """What a file says: flags, ready for the command, and what people should know of how it was understood."""

    path: Path
    settings: tuple[Setting, ...]
    notice: str = ""


class _Loader(yaml.SafeLoader):
    """YAML with the numbers of JSON: 1e-3 is one, for which YAML 1.1 wants 1.0e-3."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_config_file(path: Path, config_type: type[Output]) -> ConfigFile:
    """Read the flags of `config_type` from a file of ours, a model's config.json or train_params.json, or MLCommons'.

    Names have dashes or underscores. Raises UserError naming file and line of an unknown name, one that is there twice
    or a value of the wrong type; bounds are the command's.
    """
    entries = _read_entries(path)
    found: dict[str, Any] = {entry.name: entry.value for entry in entries}
    if is_cloudmask(found):
        has_mlperf = importlib.util.find_spec("mlperf_logging") is not None
        lines = {entry.name: entry.line for entry in entries}
        flags, notice = train_flags(str(path), found, has_mlperf=has_mlperf)
        entries = [Setting(flag, value, lines.get(source, 1)) for flag, (source, value) in flags.items()]
    else:
        entries, notice = _of_a_record(entries), ""
    hints = get_type_hints(config_type)
    return ConfigFile(path, tuple(_checked(path, entry, hints) for entry in entries), notice)


def read_submission(path: Path | None) -> Submission:
    """Whose submission to MLPerf the file `path` says this is; what is taken for granted where it doesn't."""
    if path is None:
        return Submission()
    found: dict[str, Any] = {entry.name: entry.value for entry in _read_entries(path)}
    return submission_of(found) if is_cloudmask(found) else Submission()


def read_cloudmask(path: Path) -> dict[str, Any]:
    """Read a cloudMaskConfig.yaml's entries by name; UserError if it is none."""
    found: dict[str, Any] = {entry.name: entry.value for entry in _read_entries(path)}
    if not is_cloudmask(found):
        raise UserError(
            f"{path}: expected a cloudMaskConfig.yaml of MLCommons CloudMask, with train_dir, model_file and so on; "
            f"found {', '.join(found) or 'nothing'}"
        )
    return found


def notice_of(path: Path | None, config_type: type[Output]) -> str:
    """What people should know of how the file `path` was understood; empty where there is nothing to tell."""
    return read_config_file(path, config_type).notice if path is not None else ""


def _read_entries(path: Path) -> list[Setting]:
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"{path}: expected a YAML or JSON file of flags; it can't be read: {reason}") from error
    try:
        loader = _Loader(text.replace("\t", " "))  # JSON may be indented by tabs
        node = loader.get_single_node()
        if node is None:
            return []
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"{path}: expected flags, name: value, one a line, or a JSON object; found a {node.id}")
        return list(_entries(path, loader, node))
    except yaml.YAMLError as error:
        raise UserError(
            f"{path}{_line_of(error)}: expected YAML or JSON, found otherwise ({_reason(error)})"
        ) from error


def _entries(path: Path, loader: _Loader, node: yaml.MappingNode) -> Iterator[Setting]:
    first: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = str(key.value).replace("-", "_")
        if name in first:
            raise UserError(
                f"{path}, line {line}: {name} is there twice, first in line {first[name]}; remove one of them"
            )
        first[name] = line
        if name == "flags" and isinstance(value, yaml.MappingNode):
            yield Setting(name, list(_entries(path, loader, value)), line)
        else:
            yield Setting(name, loader.construct_object(value, deep=True), line)


def _of_a_record(entries: list[Setting]) -> list[Setting]:
    """The entries that are flags: of config.json those under "flags", of train_params.json all but what was derived."""
    recorded = {entry.name: entry.value for entry in entries}
    if isinstance(recorded.get("flags"), list):
        entries = [entry for entry in recorded["flags"] if isinstance(entry, Setting)]
    elif "versions" in recorded:
        entries = [entry for entry in entries if entry.name not in DERIVED_NAMES]
    else:
        return entries
    return [entry for entry in entries if entry.name not in NOT_REPEATED]


def _checked(path: Path, entry: Setting, hints: Mapping[str, Any]) -> Setting:
    known = [name for name in hints if name != "config"]
    if entry.name not in known:
        near = difflib.get_close_matches(entry.name, known, 1)
        meant = f"did you mean {near[0]}?" if near else "--help lists them all"
        raise UserError(f"{path}, line {entry.line}: there is no flag {entry.name}; {meant}")
    try:
        return dataclasses.replace(entry, value=flag_value(entry.value, hints[entry.name]))
    except ValueError as error:
        raise UserError(f"{path}, line {entry.line}: {entry.name} must be {error}") from error


def _line_of(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _reason(error: yaml.YAMLError) -> str:
    return getattr(error, "problem", None) or str(error).partition("\n")[0]
