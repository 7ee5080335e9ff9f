"""Edge: the flags of a stage as its dataclass has them: names, choices, what they take and what they are for."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tyro.conf import Positional

from jaxmask.completion_scripts import Flag
from jaxmask.stages import Stage
from preprocess.flag_help import field_docs
from preprocess.flags import Output

POSITIONAL = get_args(Positional[int])[1]  # tyro's mark


def stage_flags(stage: Stage) -> list[Flag]:
    """Return the flags of a stage, as its help lists them."""
    return flags_of(stage.flags())


def flags_of(config_type: type[Output]) -> list[Flag]:
    """Return the flags that a dataclass stands for."""
    hints, docs = get_type_hints(config_type, include_extras=True), field_docs(config_type)
    return [_flag(field.name, hints[field.name], docs.get(field.name, "")) for field in dataclasses.fields(config_type)]


def _flag(name: str, hint: Any, doc: str) -> Flag:
    positional = get_origin(hint) is Annotated and POSITIONAL in get_args(hint)[1:]
    kinds = list(_kinds(hint))
    return Flag(
        name=name if positional else f"--{name.replace('_', '-')}",
        positional=positional,
        switch=kinds == [bool],
        path=Path in kinds or str in kinds,
        choices=tuple(str(choice) for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)),
        purpose=doc.partition(". ")[0].partition(": ")[0].removesuffix("."),
    )


def _kinds(hint: Any) -> Iterator[Any]:
    """The plain types that a hint is made of, but for None and ..."""
    if get_origin(hint) is Annotated:
        yield from _kinds(get_args(hint)[0])
    elif get_origin(hint) in (Union, types.UnionType, tuple):
        for part in get_args(hint):
            yield from _kinds(part)
    elif hint not in (type(None), ...):
        yield hint
