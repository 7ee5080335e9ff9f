"""Edge: the library: a model made ready once, then scene after scene, from arrays, xarray or files.

An example, with a model folder and a shard (tests run it):

>>> from jaxmask import load_model, load_scene, predict_scene
>>> model = load_model("model")
>>> clouds = predict_scene(model, load_scene("scene.hdf", model))
>>> clouds.mask.shape, clouds.mask.dtype
((64, 96), dtype('bool'))

The same from an array of your own, nine channels in the last axis: reflectances S1 to S6, then brightness temperatures
S7 to S9 in K.

>>> import numpy as np
>>> image = np.concatenate([np.full((50, 70, 6), 0.1), np.full((50, 70, 3), 290.0)], axis=-1)
>>> clouds = predict_scene(model, image)
>>> bool(clouds.valid.all()), float(clouds.probability.max()) <= 1
(True, True)
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxmask.channels import REFLECTANCE_CHANNELS
from jaxmask.checkpoint import Which
from jaxmask.clouds import CHANNEL_AXES, Clouds, Decision, predict_clouds
from jaxmask.ensemble import ensemble_digest, load_models, open_networks, probability_fit
from jaxmask.infer_config import LARGEST_BUFFER, LEAST_MAX_PIXELS
from jaxmask.maskfile import DEFAULT_THRESHOLD
from jaxmask.model import Model
from jaxmask.network import Backend, Network, Precision
from jaxmask.physical import check_shape, check_values, has_thermal
from jaxmask.probability import LogitLine, line_attributes, probability_line
from jaxmask.scene_source import Wanted, check_kind
from jaxmask.scene_source import load_scene as read_scene
from jaxmask.xarray_scenes import from_xarray, to_xarray
from preprocess.flags import check
from preprocess.scene import Scene

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class CloudModel:
    """A model, or an ensemble, whose parameters lie on the devices; made by `load_model`.

    It is compiled for each image size when that is first met, and then kept: use one for all scenes.
    """

    models: tuple[Model, ...]
    network: Network
    flips: bool
    line: LogitLine  # from the logit to that of P(cloud): as `evaluate --calibrate` fitted it, else by theory
    is_calibrated: bool  # whether it was fitted
    max_pixels: int | None

    @property
    def digest(self) -> str:
        """Names the parameters: 16 hexadecimal letters."""
        return ensemble_digest(self.models)

    @property
    def convention(self) -> str:
        """Of its input: "native" or "reference" (the original's)."""
        return self.models[0].convention


def load_model(
    path: str | Path,
    *,
    ensemble: Sequence[str | Path] = (),
    flips: bool = False,
    checkpoint: Which = "latest",
    backend: Backend = "jax",
    precision: Precision = "float32",
    max_pixels: int | None = None,
) -> CloudModel:
    """Read a model folder of jaxmask.train, or a model.h5 of the original, and put it on the devices.

    ensemble: further models, of the same kind of input, whose logits are averaged with its own; flips: average over
    the mirror images of a scene too, four times the work; backend: "jax" on any device, or "openvino" on a CPU, with
    precision "float32" or "bfloat16"; max_pixels: cut larger scenes into tiles that give the same in less memory.
    Raises UserError naming the file and what is wrong with it.
    """
    large = max_pixels is None or max_pixels >= LEAST_MAX_PIXELS
    check(large, "max_pixels", f"{LEAST_MAX_PIXELS} or more", max_pixels)
    models = load_models(Path(path), [Path(each) for each in ensemble], checkpoint)
    fit = probability_fit(models, flips=flips)
    return CloudModel(
        models=models,
        network=open_networks(models, flips=flips, backend=backend, precision=precision),
        flips=flips,
        line=probability_line(models[0].positive_weight, fit),
        is_calibrated=fit is not None,
        max_pixels=max_pixels,
    )


def load_scene(path: str | Path, model: CloudModel) -> Scene:
    """Read one shard, .SEN3 folder or zip of SLSTR Level 1, made into what the model learnt.

    Returns refs (H, W, 6) float32 reflectance, bts (H, W, 3) float32 K, valid, latitude, longitude, flags and more:
    preprocess.scene.Scene. Raises UserError if it can't be read, or is a shard made otherwise than the model learnt.
    """
    return read_scene(Path(path), _wanted(model))


def image_of(scene: Scene) -> NDArray[np.float32]:
    """Return the nine channels of a scene, (H, W, 9) float32, for `predict_scene` after changes of your own.

    Reflectances S1 to S6, then brightness temperatures S7 to S9 in K, which are NaN where the scene isn't valid.
    """
    image = np.concatenate([scene.refs, scene.bts], axis=-1, dtype=np.float32)
    image[scene.valid[..., 0] == 0, REFLECTANCE_CHANNELS:] = np.nan
    return image


@overload
def predict_scene(
    model: CloudModel,
    scene: xarray.DataArray | xarray.Dataset,
    *,
    threshold: float = ...,
    probability: bool = ...,
    buffer: int = ...,
    check_units: bool = ...,
) -> xarray.Dataset: ...
@overload
def predict_scene(
    model: CloudModel,
    scene: Scene | ArrayLike,
    *,
    threshold: float = ...,
    probability: bool = ...,
    buffer: int = ...,
    check_units: bool = ...,
) -> Clouds: ...
def predict_scene(
    model: CloudModel,
    scene: Any,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    probability: bool = False,
    buffer: int = 0,
    check_units: bool = True,
) -> Any:
    """Say where there is cloud.

    scene: an array (H, W, 9) or (B, H, W, 9), any H and W, nadir view on the 1 km grid: top of atmosphere reflectances
    S1 to S6 (pi L / (E cos sun zenith); 1, not per cent), then brightness temperatures S7 to S9 in K. NaN is a missing
    value; valid are pixels with S8 and S9. Or what `load_scene` returns. Or an xarray.DataArray with a dimension of the
    nine channels, or an xarray.Dataset: a shard as xarray opens it, or variables S1 to S9.
    threshold: a pixel is cloud where the output exceeds it, or, with `probability`, where P(cloud) does; buffer: spread
    cloud by so many pixels in every direction; check_units: False takes impossible values all the same.
    Returns Clouds; for xarray a Dataset of the same four on the same dimensions and coordinates.
    Raises UserError if shape, units or order of the channels can't be right, saying what they look like.
    """
    check(0 < threshold < 1, "threshold", "between 0 and 1", threshold)
    check(0 <= buffer <= LARGEST_BUFFER, "buffer", f"from 0 to {LARGEST_BUFFER} pixels", buffer)
    decision = Decision(threshold, probability, buffer)
    if isinstance(scene, Scene):
        image = np.concatenate([scene.refs, scene.bts], axis=-1, dtype=np.float32)
        return _predict(model, image, scene.valid[..., 0] > 0, decision)
    xarray = sys.modules.get("xarray")  # who gives its arrays has imported it
    if xarray is not None and isinstance(scene, (xarray.DataArray, xarray.Dataset)):
        grid = from_xarray(scene)
        if grid.kind is not None:
            check_kind("the Dataset", *grid.kind, _wanted(model))
        clouds = _predict(model, grid.image, _valid(grid.image, grid.valid, check_units), decision)
        return to_xarray(grid, vars(clouds), _attributes(model, decision))
    image = np.asarray(scene)
    return _predict(model, image, _valid(image, None, check_units), decision)


def _wanted(model: CloudModel) -> Wanted:
    first = model.models[0]
    return Wanted(first.convention, first.calibration, first.regridding)


def _valid(images: NDArray[Any], known: NDArray[np.bool_] | None, check_units: bool) -> NDArray[np.bool_]:
    """Which pixels count, `known` or not, once shape and values have been checked."""
    check_shape(images)
    valid = has_thermal(images)
    valid = valid if known is None else valid & known
    if check_units and images.ndim == CHANNEL_AXES:
        check_values(images, valid)
    elif check_units:
        for number, (image, where) in enumerate(zip(images, valid, strict=True)):
            check_values(image, where, f"image {number} of the batch")
    return valid


def _predict(model: CloudModel, images: NDArray[Any], valid: NDArray[np.bool_], decision: Decision) -> Clouds:
    return predict_clouds(
        model.network.logits,
        images,
        valid,
        decision,
        convention=model.convention,
        line=model.line,
        at_once=model.network.devices,
        max_pixels=model.max_pixels,
    )


def _attributes(model: CloudModel, decision: Decision) -> dict[str, Any]:
    """How it was made; of an xarray.Dataset."""
    return {
        "source": f"jaxmask {importlib.metadata.version('jaxmask')}",
        "model": model.digest,
        "convention": model.convention,
        "threshold": decision.threshold,
        "threshold_of": "probability" if decision.probability else "output",
        "buffer": decision.buffer,
        "flips": int(model.flips),  # netCDF has no truth values
        "probability_is_fitted": int(model.is_calibrated),
        **line_attributes(model.line),
    }
