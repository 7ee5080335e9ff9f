"""The few pickles that pandas leaves in HDF tables, read without running anything that they name.

Python's unpickler calls whatever a pickle names. Here each name that a column of strings or numbers needs is bound to a
stand-in of our own, which records and checks; numpy's constructors are never called, since their states can be forged
too (a structured dtype with object fields turns bytes into pointers). Any other name is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np

NUMERIC_MODULES = ("numpy.core.numeric", "numpy._core.numeric")
MULTIARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
PLAIN_DTYPE = re.compile(r"([biufSU]\d{1,6}|O8?|\?)$")
PLAIN_TYPES = (str, bytes, int, float, bool, type(None))


class UnsafePickleError(ValueError):
    """The pickle names, or holds, something other than plain strings, numbers and arrays of them."""


class _Name:
    """What a pickle gets for a global name: it can be called at most, never changed or inspected."""

    __slots__ = ("_function", "_name")

    def __init__(self, name: str, function: Callable[..., Any] | None = None) -> None:
        self._name, self._function = name, function

    def __call__(self, *arguments: Any) -> Any:
        if self._function is None:
            raise UnsafePickleError(f"calls {self._name}")
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise UnsafePickleError(f"changes {self._name}")


class _Dtype:
    """Stands in for numpy.dtype: a plain type code and a byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not PLAIN_DTYPE.match(code):
            raise UnsafePickleError(f"holds an array of type {code!r:.40}")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 8 or any(part is not None for part in state[2:5]):
            raise UnsafePickleError("holds an array of a structured type")
        self.order = state[1] if state[1] in ("<", ">") else "="

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.code)


class _Array:
    """Stands in for numpy.ndarray until its state has been checked."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        shape, dtype, fortran, data = _array_state(state)
        order: Any = "F" if fortran else "C"
        self.array = _objects(data, shape) if dtype.code[0] == "O" else _numbers(data, dtype, shape, order)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Name:
        if module in MULTIARRAY_MODULES and name in ("_reconstruct", "scalar"):
            return _Name(name, _reconstruct if name == "_reconstruct" else _scalar)
        if module in NUMERIC_MODULES and name == "_frombuffer":
            return _Name(name, _from_buffer)
        if module == "numpy" and name in ("dtype", "ndarray"):
            return _Name(name, _Dtype if name == "dtype" else None)
        if (module, name) == ("_codecs", "encode"):
            return _Name(name, _encode)
        raise UnsafePickleError(f"names {module}.{name}"[:120])


def loads(data: bytes) -> Any:
    """Return the plain value, list or tuple of them, or numpy array that `data` holds.

    Raises UnsafePickleError for names other than those of numpy arrays, and for broken pickles.
    """
    try:
        return _plain(_Unpickler(io.BytesIO(data)).load())
    except UnsafePickleError:
        raise
    except Exception as error:  # a hostile pickle can fail in any way
        raise UnsafePickleError(f"is broken ({type(error).__name__}: {error})"[:200]) from error


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", bytes(data) if isinstance(data, bytearray) else data))
    return array


def _scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, _Dtype) or dtype.code[0] == "O":
        raise UnsafePickleError("holds a scalar of an object type")
    return _numbers(data, dtype, (), "C")[()]


def _encode(text: Any, encoding: Any = "latin1", *_: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        raise UnsafePickleError("encodes something other than text")
    return text.encode(encoding)


def _array_state(state: Any) -> tuple[tuple[int, ...], _Dtype, bool, Any]:
    if not isinstance(state, tuple) or len(state) != 5:
        raise UnsafePickleError("holds an array of an unknown layout")
    _, shape, dtype, fortran, data = state
    sizes = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if not sizes or not isinstance(dtype, _Dtype):
        raise UnsafePickleError("holds an array of an unknown layout")
    return shape, dtype, bool(fortran), data


def _objects(data: Any, shape: tuple[int, ...]) -> np.ndarray:
    if not isinstance(data, list) or len(data) != math.prod(shape):
        raise UnsafePickleError("holds an object array whose contents don't fit its shape")
    values = np.empty(len(data), object)
    values[:] = [_element(value) for value in data]
    return values.reshape(shape)  # numpy lists objects row by row whatever the array's order


def _element(value: Any) -> Any:
    if not isinstance(value, (*PLAIN_TYPES, np.generic)):
        raise UnsafePickleError(f"holds a {type(value).__name__.strip('_')} where a string or number should be")
    return value


def _numbers(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    kind = dtype.numpy()
    if not isinstance(data, bytes) or len(data) != math.prod(shape) * kind.itemsize:
        raise UnsafePickleError("holds an array whose bytes don't fit its shape")
    return np.frombuffer(data, kind).reshape(shape, order=order)


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        if value.array is None:
            raise UnsafePickleError("holds an array without contents")
        return value.array
    if isinstance(value, list | tuple):  # of one level: nested ones can be made to grow without end
        return type(value)(_element(part) for part in value)
    return _element(value)
