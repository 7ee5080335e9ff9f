"""Edge: flags read from the command line, and the help that tells of them, from a dataclass and its docstrings."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import re
import shutil
import sys
import textwrap
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import arg
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from preprocess.flags import Output
from preprocess.terminal import shows_colour

Config = TypeVar("Config", bound=Output)

MISSING = (tyro.MISSING, tyro.MISSING_NONPROP)
WORDS = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def read_flags(
    config_type: type[Config], prog: str, argv: Sequence[str] | None = None, default: Config | None = None
) -> Config:
    """Return `argv`, by default the process's, as a `config_type`; `default` holds what flags are where left out.

    prog: what the user calls the program. Exits with a message where `argv` asks for help, or is wrong.
    """
    with _pages():
        return tyro.cli(
            config_type,
            prog=prog,
            args=argv,
            default=tyro.MISSING_NONPROP if default is None else default,
            config=(tyro.conf.FlagCreatePairsOff,),
            registry=_registry(),
        )


def field_docs(config_type: type[Any]) -> dict[str, str]:
    """Return the docstrings that stand below the fields of a dataclass and of its bases, each as one line."""
    found: dict[str, str] = {}
    for owner in reversed(config_type.__mro__):
        if dataclasses.is_dataclass(owner):
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
            body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
            found |= dict(_documented(body))
    return found


def _documented(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield field.target.id, " ".join(below.value.value.split())


def _registry() -> ConstructorRegistry:
    """How tyro is to take dataclasses: as it does, but for docstrings that it would leave wrapped as in the source."""
    registry = ConstructorRegistry()

    @registry.struct_rule
    def dataclass_rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        if not (isinstance(info.type, type) and dataclasses.is_dataclass(info.type)):
            return None
        hints, docs = get_type_hints(info.type, include_extras=True), field_docs(info.type)
        fields = []
        for field in dataclasses.fields(info.type):
            default = _default(field, info.default)
            hint = _with_word(hints[field.name], default)
            fields.append(StructFieldSpec(field.name, hint, default, docs.get(field.name)))
        return StructConstructorSpec(info.type, tuple(fields))

    return registry


def _default(field: dataclasses.Field[Any], instance: Any) -> Any:
    if not any(instance is missing for missing in MISSING):
        return getattr(instance, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING_NONPROP if field.default is dataclasses.MISSING else field.default


def _with_word(hint: Any, default: Any) -> Any:
    """The type of a flag that may be left out, shown as what it takes: its docstring says what else there is."""
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    plain = get_args(hint)[0] if marks else hint
    if default is not None or get_origin(plain) not in (Union, types.UnionType) or any(_has_word(one) for one in marks):
        return hint
    kinds = [kind for kind in get_args(plain) if kind is not type(None)]
    return Annotated[hint, arg(metavar="|".join(map(_word, kinds)), help_behavior_hint="")]


def _has_word(mark: object) -> bool:
    return getattr(mark, "metavar", None) is not None


def _word(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    return WORDS.get(kind, getattr(kind, "__name__", str(kind)).upper())


def _is_long(line: str, columns: int) -> bool:
    return len(ESCAPES.sub("", line.rstrip())) > columns and ESCAPES.search(line) is None


class _Page(io.StringIO):
    """What tyro prints, in the colours that it gives to terminals."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream itself: whether it can show boxes."""
        return self._stream.encoding or "ascii"

    def isatty(self) -> bool:
        """Say so: what is no terminal loses the colours in `turn`."""
        return True

    def turn(self) -> None:
        """Write it where it belongs, with what tyro leaves as one long line, as the description, wrapped."""
        columns = shutil.get_terminal_size().columns
        lines = self.getvalue().splitlines(keepends=True)
        text = "".join(f"{textwrap.fill(line, columns)}\n" if _is_long(line, columns) else line for line in lines)
        self._stream.write(text if shows_colour(self._stream) else ESCAPES.sub("", text))


@contextmanager
def _pages() -> Iterator[None]:
    """Colours by the stream that is written to: tyro asks standard output about what it writes to standard error."""
    pages = _Page(sys.stdout), _Page(sys.stderr)
    try:
        with redirect_stdout(pages[0]), redirect_stderr(pages[1]):
            yield
    finally:
        for page in pages:
            page.turn()
