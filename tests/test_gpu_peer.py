"""The PyTorch peer of gpu.py does our work: same loss, counts and gradient from the same parameters; where it is."""

from __future__ import annotations

import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask import unet
from jaxmask.losses import POSITIVE_WEIGHT, clip_weights, weighted_cross_entropy
from jaxmask.metrics import Sums, batch_sums
from jaxmask.pixels import decode

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
PATCH, CLIP = 32, 5


def ours(params: unet.Params, graphdef: object, batch: dict[str, np.ndarray]) -> tuple[jax.Array, Sums]:
    """The mean loss and the sums, as jaxmask.step has them."""
    decoded = decode(batch)
    logits = unet.apply(graphdef, params, decoded["image"])
    weights = clip_weights(decoded["weight"], CLIP)
    loss, weight = weighted_cross_entropy(logits, decoded["label"], weights, POSITIVE_WEIGHT)
    return loss / weight, batch_sums(logits, decoded["label"], weights, loss, weight)


def test_the_peer_has_our_loss_counts_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="the peer of benchmarks/gpu.py needs PyTorch")
    monkeypatch.syspath_prepend(str(FOLDER))
    peer, work = importlib.import_module("gpu_torch"), importlib.import_module("gpu_work")
    graphdef, params = unet.create(4, seed=0)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + rng.normal(0, 0.05, leaf.shape).astype(np.float32), params)
    batch = work.random_batch(2, PATCH)
    batch["weight"] = rng.integers(0, 2, batch["weight"].shape, np.uint8)
    (loss, sums), gradient = jax.value_and_grad(ours, has_aux=True)(params, graphdef, batch)
    net = peer.UNet(4).to(memory_format=torch.channels_last)
    peer.load(net, jax.tree.map(np.asarray, params))
    theirs, counts = peer.mean_loss(net, {name: torch.from_numpy(array) for name, array in batch.items()}, CLIP)
    theirs.backward()
    # float32 over 15 layers, summed in other orders
    assert float(theirs.detach()) == pytest.approx(float(loss), rel=1e-5)
    assert counts.tolist() == [int(count) for count in sums[2:]]
    other = peer.UNet(4)
    peer.load(other, jax.tree.map(np.asarray, gradient))
    for one, expected in zip(net.parameters(), other.parameters(), strict=True):
        scale = float(expected.detach().abs().max())
        np.testing.assert_allclose(one.grad.numpy(), expected.detach().numpy(), atol=1e-4 * scale)
    assert jnp.isfinite(loss)
