"""Edge: cloud masks for Sentinel-3 SLSTR. As a library: load_model, load_scene, predict_scene (see jaxmask.library).

>>> from jaxmask import load_model, load_scene, predict_scene
>>> model = load_model("model")
>>> clouds = predict_scene(model, load_scene("scene.hdf", model))

What they need, jax among it, is imported when one is first used: readers and `--help` do without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxmask.library import CloudModel, Clouds, image_of, load_model, load_scene, predict_scene
    from preprocess.errors import UserError

__all__ = ["CloudModel", "Clouds", "UserError", "image_of", "load_model", "load_scene", "predict_scene"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'jaxmask' has no attribute {name!r}")
    return getattr(import_module("preprocess.errors" if name == "UserError" else "jaxmask.library"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
