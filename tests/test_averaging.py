"""Averages of logits over networks and mirror images, against loops in float64."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask.averaging import averaged, combined_digest

ROUNDING = {"rtol": 1e-5, "atol": 1e-5}  # float32 sums of at most eight terms of size 10


def lopsided(seed: int) -> Any:
    """A network whose every output depends on where its input lies: no mirror image gives the same."""
    weights = np.random.default_rng(seed).normal(0, 1, (2, 24, 16, 9)).astype(np.float32)
    return lambda images: np.cumsum((images * weights[: len(images)]).sum(axis=-1), axis=2)


def images() -> np.ndarray:
    return np.random.default_rng(9).normal(0, 1, (2, 24, 16, 9)).astype(np.float32)


@pytest.mark.quick
def test_mirror_images_are_turned_back() -> None:
    network, given = lopsided(0), images()
    expected = np.zeros((2, 24, 16))
    for up_down in (False, True):
        for left_right in (False, True):
            turned = given.astype(np.float64)
            if up_down:
                turned = np.flip(turned, axis=1)
            if left_right:
                turned = np.flip(turned, axis=2)
            found = network(turned)
            if left_right:
                found = np.flip(found, axis=2)
            if up_down:
                found = np.flip(found, axis=1)
            expected += found / 4
    found = averaged([network], flips=True)(given)
    assert (found.shape, found.dtype) == ((2, 24, 16), np.float32)
    np.testing.assert_allclose(found, expected, **ROUNDING)
    assert np.abs(found - network(given)).max() > 1


def test_a_mean_of_members_is_of_their_logits() -> None:
    members, given = [lopsided(seed) for seed in range(3)], images()
    expected = sum(member(given.astype(np.float64)) for member in members) / 3
    np.testing.assert_allclose(averaged(members, flips=False)(given), expected, **ROUNDING)
    both = averaged(members, flips=True)(given)
    apart = sum(averaged([member], flips=True)(given).astype(np.float64) for member in members) / 3
    np.testing.assert_allclose(both, apart, **ROUNDING)


def test_averages_of_mirror_images_turn_with_the_image() -> None:
    network, given = averaged([lopsided(0)], flips=True), images()
    np.testing.assert_allclose(network(given[:, ::-1]), network(given)[:, ::-1], **ROUNDING)
    np.testing.assert_allclose(network(given[:, :, ::-1]), network(given)[:, :, ::-1], **ROUNDING)


def test_one_member_without_flips_is_itself_and_none_is_refused() -> None:
    network = lopsided(0)
    assert averaged([network], flips=False) is network
    with pytest.raises(ValueError, match="the mean of no networks"):
        averaged([], flips=True)


def test_devices_are_not_waited_for() -> None:
    """What a network of jax gives stays an array of jax, in float32."""
    found = averaged([jax.jit(lambda x: jnp.cumsum(x.sum(axis=-1), axis=2))], flips=True)(images())
    assert isinstance(found, jax.Array)
    assert found.dtype == jnp.float32


def test_the_digest_of_an_ensemble() -> None:
    by_hand = hashlib.sha256(b"aa bb").hexdigest()[:16]
    assert combined_digest(["bb", "aa"]) == combined_digest(["aa", "bb"]) == by_hand
    assert combined_digest(["aa"]) == "aa"
    assert combined_digest(["a", "abb"]) != combined_digest(["aab", "b"])
