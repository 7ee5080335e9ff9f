"""What a value in a file must be to be a flag's: the types of the commands' dataclasses, by their annotations."""

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def flag_value(value: Any, hint: Any) -> Any:
    """Return `value` as a field annotated `hint` holds it; ValueError says what it must be and what was found.

    `hint`: bool, int, float, str, Path, Literal of strings, or a union of these with None.
    """
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return None if value is None else flag_value(value, kinds[0])
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"one of {', '.join(get_args(hint))}; found {_shown(value)}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if hint is Path and type(value) is str:
        return Path(value).expanduser()
    if type(value) is not hint:
        raise ValueError(f"{WORDS.get(hint, hint)}; found {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value}".lower() if isinstance(value, bool) else repr(value)
