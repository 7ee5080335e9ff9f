"""What the network sees of a shard: normalised channels, binary labels and loss weights, for training and inference."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import NDArray

from jaxmask.channels import (
    BT_OFFSET_K,
    BT_SCALE_K,
    CHANNELS,
    REFLECTANCE_CHANNELS,
    REFLECTANCE_OFFSET,
    TEMPERATURE_CHANNELS,
    normalise,
)

Array = np.ndarray | jax.Array
Patch = dict[str, NDArray[Any]]  # image (..., 9), label and weight (..., 1), one or a batch of them

# Training keeps a normalised channel as int16 counts q and gives it back as q * step + centre: of powers of two and
# whole numbers, so that float32 holds every value exactly, whatever the order or fusion of the arithmetic.
REFLECTANCE_STEP, REFLECTANCE_CENTRE = 2.0**-13, 3.0  # normalised; reflectance -0.5 to 7.5 in steps of 0.00012
BT_STEP, BT_CENTRE = 2.0**-12, -5.0  # normalised; -16 K to 336 K (0 K: missing to the original) in steps of 0.0054 K
STEPS = np.array([REFLECTANCE_STEP] * REFLECTANCE_CHANNELS + [BT_STEP] * TEMPERATURE_CHANNELS, np.float32)
CENTRES = np.array([REFLECTANCE_CENTRE] * REFLECTANCE_CHANNELS + [BT_CENTRE] * TEMPERATURE_CHANNELS, np.float32)


def image(refs: Array, bts: Array) -> Any:
    """Normalise and stack the channels: reflectances S1-S6, then brightness temperatures S7-S9.

    refs: (..., 6) reflectance; bts: (..., 3) K; both numpy or both jax arrays, of any float type.
    Returns (..., 9) float32: refs - 0.5, (bts - 270 K) / 22 K, as the original does.
    """
    if isinstance(refs, np.ndarray):
        return normalise(refs, np.asarray(bts))
    channels = [refs - REFLECTANCE_OFFSET, (bts - BT_OFFSET_K) / BT_SCALE_K]
    return jax.numpy.concatenate([channel.astype(np.float32) for channel in channels], axis=-1)


def quantise(normalised: NDArray[np.float32]) -> NDArray[np.int16]:
    """The counts of normalised channels (..., 9), rounded to the nearest and held at the ends of int16."""
    pixels = normalised.size // CHANNELS // len(normalised)
    counts = normalised.reshape(len(normalised), -1) - np.tile(CENTRES, pixels)  # rows: NumPy is slow on axes of 9
    counts *= np.tile(1 / STEPS, pixels)  # powers of two: exact
    np.rint(counts, out=counts)
    limits = np.iinfo(np.int16)
    return np.clip(counts, limits.min, limits.max, out=counts).astype(np.int16).reshape(normalised.shape)


def decode(batch: dict[str, Any], dtype: DTypeLike = np.float32) -> dict[str, jax.Array]:
    """What the network learns from of a batch as training keeps it; under jit, on the devices.

    image: (B, P, P, 9) int16 counts, given back exactly in float32 and float64, however the arithmetic is fused, or
    of a float type, taken as it is; label, weight: (B, P, P, 1) of any type; turn: (B,) uint8 codes of `turned`, if
    patches are turned. Returns image, label and weight of `dtype`.
    """
    arrays = {name: jnp.asarray(batch[name]) for name in ("image", "label", "weight")}
    if "turn" in batch:
        arrays = {name: turned(array, batch["turn"]) for name, array in arrays.items()}
    decoded = {name: array.astype(dtype) for name, array in arrays.items()}
    if jnp.issubdtype(arrays["image"].dtype, jnp.integer):
        steps, centres = (jnp.asarray(each, dtype).reshape(1, 1, 1, -1) for each in (STEPS, CENTRES))
        decoded["image"] = decoded["image"] * steps + centres
    return decoded


def turned(patches: jax.Array, codes: jax.Array) -> jax.Array:
    """Turn and flip square patches (B, P, P, C), each by its code (B,) 0 to 7, in one of the 8 ways a square allows.

    The code's bits, in this order: 1 flips the rows, 2 the columns, 4 exchanges rows and columns.
    """
    chosen = jnp.asarray(codes).reshape(-1, 1, 1, 1)
    patches = jnp.where(chosen & 1 != 0, patches[:, ::-1], patches)
    patches = jnp.where(chosen & 2 != 0, patches[:, :, ::-1], patches)
    return jnp.where(chosen & 4 != 0, patches.swapaxes(1, 2), patches)


def kept_bytes(patch_size: int) -> int:
    """Bytes of one patch as training keeps it: counts of int16, label and weight of uint8."""
    return patch_size**2 * (2 * CHANNELS + 2)


def blank(size: int) -> Patch:
    """What stands for a patch where there is none left: zeros, of weight 0."""
    flat = (size, size, 1)
    return {
        "image": np.zeros((size, size, CHANNELS), np.int16),
        "label": np.zeros(flat, np.uint8),
        "weight": np.zeros(flat, np.uint8),
    }


def label(bayes: Array) -> Any:
    """Binary cloud label: (..., 1) 0..255 (grey at resized edges, as the original) to (..., 1) float32, 1 where > 0."""
    return (bayes > 0).astype(np.float32)


def weight(valid: Array, label_valid: Array) -> Any:
    """Loss weight: (..., 1) float32, 1 where both masks (..., 1) are set, else 0: fill is never learnt from."""
    return ((valid > 0) & (label_valid > 0)).astype(np.float32)
