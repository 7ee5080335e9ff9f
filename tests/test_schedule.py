"""The step size against hand-computed steps and against optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmask.schedule import Schedule, scaled_rate


def _rates(schedule: Schedule, counts: list[int]) -> list[float]:
    return [float(rate) for rate in jax.jit(jax.vmap(schedule))(jnp.array(counts, jnp.int32))]


@pytest.mark.quick
def test_by_hand() -> None:
    cosine = Schedule(peak=0.8, kind="cosine", warmup=4, total=12)
    # 0 to the peak in 4 steps; then 8 of half a cosine: 45 degrees after 2, 90 after 4, 180 and beyond after 8
    expected = [0, 0.2, 0.6, 0.8, 0.4 * (1 + np.sqrt(0.5)), 0.4, 0, 0]
    # 1e-7: float32, of a cosine that is nearly -1 at the end
    np.testing.assert_allclose(_rates(cosine, [0, 1, 3, 4, 6, 8, 12, 99]), expected, rtol=1e-6, atol=1e-7)
    constant = Schedule(peak=0.8, warmup=2, total=5)
    assert _rates(constant, [0, 1, 2, 5, 1000]) == pytest.approx([0, 0.4, 0.8, 0.8, 0.8], rel=1e-6)
    assert _rates(Schedule(peak=0.001), [0, 10**6]) == [float(np.float32(0.001))] * 2


@pytest.mark.parametrize(("warmup", "total"), [(0, 30), (7, 30), (29, 30)])
def test_as_optax_has_it(warmup: int, total: int) -> None:
    theirs = optax.warmup_cosine_decay_schedule(0.0, 0.01, warmup, total)
    with jax.numpy_dtype_promotion("standard"):  # which optax needs
        expected = [float(theirs(jnp.int32(count))) for count in range(total + 3)]
    ours = _rates(Schedule(peak=0.01, kind="cosine", warmup=warmup, total=total), list(range(total + 3)))
    # 1e-8, a millionth of the peak: float32 cosines
    np.testing.assert_allclose(ours, expected, atol=1e-8)


def test_a_warm_up_as_long_as_the_run_never_falls() -> None:
    rates = _rates(Schedule(peak=1.0, kind="cosine", warmup=5, total=5), [0, 2, 4, 5])
    assert rates == pytest.approx([0, 0.4, 0.8, 1.0], rel=1e-6)


def test_rates_are_float32_even_where_float64_is_on() -> None:
    with jax.enable_x64(True):
        assert Schedule(peak=0.1, kind="cosine", warmup=1, total=9)(jnp.int32(3)).dtype == jnp.float32


def test_in_proportion_to_the_patches_a_step() -> None:
    assert scaled_rate(0.001, 32) == 0.001
    assert scaled_rate(0.001, 256) == 0.008
    assert scaled_rate(0.001, 16) == 0.0005
