"""The network over all devices: the same as on one, compiled once a shape, whatever the batch."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jaxmask import unet
from jaxmask.jax_network import open_logits
from jaxmask.network import open_network
from tests.test_infer import small_model


def images(count: int, height: int = 16, width: int = 24) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, height, width, 9)).astype(np.float32)


@pytest.mark.quick
def test_eight_devices_give_what_one_gives() -> None:
    """Each device computes whole scenes: the very same sums."""
    model = small_model()
    one, all_ = open_logits(model, "float32", jax.devices()[:1]), open_logits(model, "float32")
    batch = images(8)
    found = all_(batch)
    assert len(found.sharding.device_set) == 8
    np.testing.assert_array_equal(np.asarray(found), np.concatenate([one(batch[i : i + 1]) for i in range(8)]))
    np.testing.assert_array_equal(all_(batch[:3]), np.asarray(found)[:3])


def test_the_network_is_the_models_in_either_precision() -> None:
    model = small_model()
    batch = images(8)
    expected = np.asarray(unet.apply(model.graphdef, model.params, batch))[..., 0]
    network = open_network(model)
    assert network.devices == 8
    np.testing.assert_allclose(network.logits(batch), expected, atol=1e-6)  # float32, another order of sums
    half = np.asarray(open_network(model, precision="bfloat16").logits(batch))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, expected, atol=0.03)  # 8 bits a number
    assert not np.array_equal(half, expected)
