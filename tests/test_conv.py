"""Every form of the convolutions against explicit loops and against XLA's own, values and gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxmask import unet
from jaxmask.conv import CPU, XLA, Form, convolve, convolve_joined

FORMS = [Form(products, folded) for products, folded in itertools.product((False, True), repeat=2)]
PLACES = [(1, 1), (1, 2), (3, 4), (2, 5)]  # rows and columns of the low image: borders alone, odd, not square
RNG = np.random.default_rng(0)


def _normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.quick
@pytest.mark.parametrize("form", FORMS)
def test_convolution_against_loops(form: Form) -> None:
    x, kernel = _normal(2, 3, 4, 5), _normal(3, 3, 5, 2)
    # float32 sums of 45 products of size 1
    np.testing.assert_allclose(convolve(x, kernel, form), _loops(x, kernel), atol=2e-5)


@pytest.mark.parametrize("form", FORMS)
def test_convolution_of_joined_images_against_loops(form: Form) -> None:
    low, skip, kernel = _normal(2, 2, 3, 4), _normal(2, 4, 6, 3), _normal(3, 3, 7, 2)
    joined = np.concatenate([np.kron(low, np.ones((1, 2, 2, 1))), skip], axis=-1)
    np.testing.assert_allclose(convolve_joined(low, skip, kernel, form), _loops(joined, kernel), atol=2e-5)


@pytest.mark.parametrize(("height", "width"), PLACES)
@pytest.mark.parametrize("form", FORMS[1:])
def test_gradients_are_those_of_xla(form: Form, height: int, width: int) -> None:
    """In float32, 3e-6 of the largest: sums of up to 2 x 80 products, in another order."""
    low, skip = _normal(2, height, width, 3), _normal(2, 2 * height, 2 * width, 2)
    kernel, given = _normal(3, 3, 5, 4), _normal(2, 2 * height, 2 * width, 4)
    found, expected = (
        jax.vjp(partial(convolve_joined, form=each), low, skip, kernel)[1](jnp.asarray(given)) for each in (form, XLA)
    )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-6 * abs(theirs).max())


def test_bfloat16_gradients_add_images_in_float32() -> None:
    """3 images of 257 pixels give 771, 772 to the nearest of bfloat16's 8 bits; 257 alone would be 256, thrice 768."""
    x = jnp.ones((3, 257, 1, 1), jnp.bfloat16)
    kernel = jnp.zeros((3, 3, 1, 1), jnp.bfloat16)
    gradient = jax.vjp(lambda kernel: convolve(x, kernel, CPU), kernel)[1](x)[0]
    assert gradient.dtype == jnp.bfloat16
    # the taps beside the centre see zeros left and right, and one pixel less above and below
    np.testing.assert_array_equal(gradient[:, :, 0, 0].astype(jnp.float32), [[0, 768, 0], [0, 772, 0], [0, 768, 0]])


def test_the_network_is_the_same_in_every_form() -> None:
    """Logits and gradients in float32: 3e-5 of the largest, as rounding grows through 15 layers and back."""
    graphdef, params = unet.create(2, seed=0)
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)  # biases that count
    images, labels = _normal(2, 8, 24, 9), _normal(2, 8, 24, 1)  # one row at the bottom

    def loss(params: unet.Params, form: Form | None) -> tuple[jax.Array, jax.Array]:
        logits = unet.apply(graphdef, params, images, form=form)
        return jnp.mean((logits - labels) ** 2), logits

    (_, logits), gradient = jax.jit(jax.value_and_grad(partial(loss, form=XLA), has_aux=True))(params)
    for form in (CPU, None):  # as asked, and as a CPU gets it unasked
        (_, ours), found = jax.jit(jax.value_and_grad(partial(loss, form=form), has_aux=True))(params)
        np.testing.assert_allclose(ours, logits, atol=3e-5 * abs(logits).max())
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(gradient), strict=True):
            np.testing.assert_allclose(one, other, atol=3e-5 * abs(other).max())


def test_in_float64_the_forms_agree_to_its_rounding() -> None:
    """Loss and gradients with respect to parameters and images: 1e-12 of the largest is 1e4 roundings."""
    with jax.enable_x64(True):
        graphdef, params = unet.create(1, seed=0)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf if leaf.ndim == 4 else leaf + 0.1, jnp.float64), params)
        images = RNG.normal(size=(3, 8, 24, 9))

        def loss(params: unet.Params, images: jax.Array, form: Form) -> jax.Array:
            return jnp.sum(jnp.sin(unet.apply(graphdef, params, images, jnp.float64, form)))

        ours, theirs = (
            jax.jit(jax.value_and_grad(partial(loss, form=form), argnums=(0, 1)))(params, images) for form in (CPU, XLA)
        )
        for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            assert one.dtype == jnp.float64
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * abs(other).max())


def test_a_cpu_gets_its_form_unasked() -> None:
    """The program compiled with no form asked is the CPU's: the upsampled image is never made."""
    graphdef, params = unet.create(2, seed=0)

    def text(form: Form | None) -> str:
        program = jax.jit(partial(unet.apply, graphdef, form=form))
        return program.lower(params, np.zeros((1, 16, 16, 9), np.float32)).compile().as_text()

    assert _convolutions(text(None)) == _convolutions(text(CPU))
    assert _convolutions(text(None)) != _convolutions(text(XLA))


def test_devices_exchange_kernels_not_images() -> None:
    """A batch divided over 8 devices: the whole gradient comes of one exchange, and of no image."""
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    x, kernel, given = _normal(16, 6, 6, 4), _normal(3, 3, 4, 5), _normal(16, 6, 6, 5)

    def own(x: jax.Array, given: jax.Array) -> jax.Array:
        return jax.lax.psum(_kernel_gradient(x, given), "data")

    def _kernel_gradient(x: jax.Array, given: jax.Array) -> jax.Array:
        return jax.vjp(lambda kernel: convolve(x, kernel, CPU), jnp.asarray(kernel))[1](given)[0]

    shares = PartitionSpec("data")
    divided = jax.jit(
        jax.shard_map(own, mesh=mesh, in_specs=(shares, shares), out_specs=PartitionSpec(), check_vma=False)
    )
    compiled = divided.lower(x, given).compile().as_text()
    assert compiled.count(" all-reduce(") == 1
    assert "all-gather" not in compiled
    assert "all-to-all" not in compiled
    # float32 sums of 576 products
    np.testing.assert_allclose(divided(x, given), _kernel_gradient(x, jnp.asarray(given)), atol=2e-4)


def _convolutions(text: str) -> int:
    return text.count(" convolution(") + text.count("= convolution")


def _loops(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width = x.shape[1:3]
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps: Callable[[int, int], np.ndarray] = lambda i, j: padded[:, i : i + height, j : j + width] @ kernel[i, j]  # noqa: E731
    return sum(taps(i, j) for i in range(3) for j in range(3))
