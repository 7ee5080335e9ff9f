"""All files of one mask: what infer writes when asked, what goes when it is replaced, and the mask itself last."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import netCDF4
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from jaxmask import infer, outputs, unet
from jaxmask.maskfile import Mask, read_mask
from jaxmask.outputs import companions, is_whole, write_outputs
from jaxmask.pixels import image
from jaxmask.probability import LogitLine, ProbabilityFit
from preprocess.colour import Look, scene_look
from preprocess.errors import UserError
from preprocess.scene import Scene
from preprocess.shard import read_shard
from tests.run_folder import make_mask, make_scene
from tests.shards import make_shards, product_name
from tests.test_buffer import disc
from tests.test_infer import infer_to, small_model

LINE = LogitLine(1.0, 0.5)


def finished() -> tuple[Mask, Scene, Look]:
    """A mask with its positions, its scene, and the scene's picture."""
    scene = make_scene(1, True)
    picture = scene_look(scene)
    return replace(make_mask(scene), latitude=scene.latitude, longitude=scene.longitude), scene, picture


@pytest.mark.quick
def test_what_is_given_is_written_and_what_is_not_is_removed(tmp_path: Path) -> None:
    mask, scene, picture = finished()
    path = tmp_path / f"{mask.name}.h5"
    netcdf, png = companions(path)
    assert (netcdf.name, png.name) == (f"{mask.name}_cloud.nc", f"{mask.name}.png")
    write_outputs(tmp_path, mask, scene.info, probability=mask.probability, line=LINE, look=picture)
    assert set(tmp_path.iterdir()) == {path, netcdf, png}
    np.testing.assert_array_equal(read_mask(path).probability, mask.probability)
    with netCDF4.Dataset(netcdf) as file:
        assert file.probability_intercept == 0.5
    write_outputs(tmp_path, mask, scene.info, look=picture)
    assert set(tmp_path.iterdir()) == {path, png}
    write_outputs(tmp_path, mask, scene.info)
    assert set(tmp_path.iterdir()) == {path}


@pytest.mark.parametrize("broken", ["write_mask", "netcdf"])
def test_what_cannot_be_written_leaves_the_earlier_mask(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or a product without positions, loses nothing that was there; the error names the file to be."""
    mask, scene, picture = finished()
    write_outputs(tmp_path, mask, scene.info, probability=mask.probability, line=LINE)
    path = tmp_path / f"{mask.name}.h5"
    before = {file: file.read_bytes() for file in (path, companions(path)[0])}

    def full(place: Path, *arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(place))

    unplaced = mask
    if broken == "netcdf":
        unplaced, named = replace(mask, latitude=None), f"^{re.escape(str(companions(path)[0]))}: a netCDF file needs"
    else:
        monkeypatch.setattr(outputs, "write_mask", full)
        named = f"No space left on device: '{re.escape(str(path))}'"
    with pytest.raises((OSError, UserError), match=named):
        write_outputs(tmp_path, unplaced, scene.info, probability=mask.probability, line=LINE, look=picture)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_the_mask_comes_last_and_goes_first(moved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends it between two files: there is no mask beside which a file is missing, or of another mask."""
    mask, scene, picture = finished()
    path = tmp_path / f"{mask.name}.h5"
    wanted = {"probability": mask.probability, "line": LINE, "look": picture}
    write_outputs(tmp_path, mask, scene.info, **wanted)
    left = [moved]
    move = os.replace

    def ended(source: Path, target: Path) -> None:
        if target.parent == tmp_path:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr(outputs.os, "replace", ended)
    with pytest.raises(KeyboardInterrupt):
        write_outputs(tmp_path, mask, scene.info, **wanted)
    assert not path.exists()
    assert all(is_whole(file) for file in tmp_path.iterdir())


@pytest.mark.parametrize("place", [0, 1])
def test_a_file_cut_short_is_not_whole(place: int, tmp_path: Path) -> None:
    mask, scene, picture = finished()
    write_outputs(tmp_path, mask, scene.info, probability=mask.probability, line=LINE, look=picture)
    file = companions(tmp_path / f"{mask.name}.h5")[place]
    data = file.read_bytes()
    assert is_whole(file)
    for length in (0, 5, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:length])
        assert not is_whole(file), length
    file.unlink()
    assert not is_whole(file)
    file.mkdir()
    assert not is_whole(file)
    with pytest.raises(IsADirectoryError, match=re.escape(file.name)):
        write_outputs(tmp_path, mask, scene.info, probability=mask.probability, line=LINE, look=picture)
    assert read_mask(tmp_path / f"{mask.name}.h5").name == mask.name, "the earlier mask stays"


def test_the_quicklook_shows_the_buffered_mask(tmp_path: Path) -> None:
    mask, scene, picture = finished()
    spread = replace(mask, probability=np.where(mask.valid, np.float32(0.99), 0), attributes=mask.attributes)
    shown = []
    for each in (mask, spread):
        write_outputs(tmp_path, each, scene.info, look=picture)
        with Image.open(companions(tmp_path / f"{mask.name}.h5")[1]) as image:
            right = np.asarray(image.convert("RGB")).astype(int)[:, image.width // 2 :]
        shown.append(((right[..., 0] > 200) & (right[..., 1] > 180) & (right[..., 2] < 100)).mean())  # yellow: cloud
    assert shown[1] > 1.2 * shown[0]


def test_infer_writes_them_of_its_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask is buffered, the netCDF file's probability is not, its flag is; a newer calibration makes it anew."""
    model = small_model()
    monkeypatch.setattr(infer, "load_models", lambda path, others, checkpoint: (model,))
    monkeypatch.setattr(infer, "probability_fit", lambda models, **flags: None)
    hdf, out = make_shards(tmp_path / "hdf", 1), tmp_path / "out"
    scene = read_shard(hdf / "day" / f"{product_name(0)}.hdf")
    logits = jax.jit(partial(unet.apply, model.graphdef))(model.params, image(scene.refs, scene.bts)[None])
    output = 1 / (1 + np.exp(-np.asarray(logits, np.float64)[0, ..., 0]))
    middle = f"{np.quantile(output, 0.7):.6f}"
    flags = ("--quiet", "--netcdf", "--buffer", "3", "--threshold", middle)
    assert infer_to(out, hdf, *flags) == 0
    path = out / f"{product_name(0)}.h5"
    netcdf, _ = companions(path)
    dilated = ndimage.binary_dilation(output > float(middle), disc(3))
    np.testing.assert_array_equal(read_mask(path).probability > float(middle), dilated)
    odds = 2 * output / (1 - output)  # the loss's weight of 0.5 taken out
    with netCDF4.Dataset(netcdf) as file:
        np.testing.assert_allclose(file["cloud_probability"][:], odds / (1 + odds), rtol=1e-5)  # of float32
        np.testing.assert_array_equal(file["cloud"][:] == 1, dilated)
        assert (file.mask_buffer, file.mask_threshold, file.mask_model) == (3, float(middle), "digest1")
    made = netcdf.stat().st_mtime_ns
    assert infer_to(out, hdf, *flags) == 0
    assert netcdf.stat().st_mtime_ns == made, "nothing was left to do"
    fit = ProbabilityFit(2.0, 0.25, model="digest1", flips=False, products=(), pixels=9, cloud_pixels=4)
    monkeypatch.setattr(infer, "probability_fit", lambda models, **flags: fit)
    assert infer_to(out, hdf, *flags) == 0
    with netCDF4.Dataset(netcdf) as file:
        assert (file.probability_slope, file.probability_intercept) == (2, 0.25)
