"""Shards come back as they were written, whole or not at all, and the original's own are read too."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from preprocess.errors import UserError
from preprocess.scene import Scene
from preprocess.shard import (
    ShardWindows,
    find_shards,
    read_info,
    read_layout,
    read_shard,
    read_window,
    validate,
    write_shard,
)
from preprocess.shard_fields import FIELDS
from tests.shards import make_published_shard, make_scene, product_name

NAME = product_name(0)
OPTIONAL = {field.name for field in FIELDS if field.optional}


def random_scene(height: int = 10, width: int = 12, *, rads: bool = True) -> Scene:
    """A scene in which every number differs, NaN positions included."""
    rng = np.random.default_rng(3)
    arrays = {}
    for field in FIELDS:
        shape = field.shape(height, width)
        if field.dtype == "float32":
            arrays[field.name] = rng.normal(size=shape).astype(np.float32)
        else:
            arrays[field.name] = rng.integers(0, 2, shape).astype(field.dtype)
    arrays["latitude"][0, 0] = np.nan
    if not rads:
        arrays["rads"] = None
    info = make_scene(NAME, height, width, manifest_md5="0" * 32, rows_cropped=2).info
    return Scene(**arrays, info=info)


@pytest.mark.quick
def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "day" / f"{NAME}.hdf"
    scene = random_scene()
    write_shard(path, scene)
    found = read_shard(path)
    assert found.info == scene.info
    assert [type(value) for value in vars(found.info).values()] == [type(value) for value in vars(scene.info).values()]
    for field in FIELDS:
        array = getattr(found, field.name)
        np.testing.assert_array_equal(array, getattr(scene, field.name))
        assert array.dtype == field.dtype
    assert read_info(path) == scene.info
    assert read_layout(path) == (10, 12, OPTIONAL)
    assert validate(path) == scene.info
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_radiances_are_optional(tmp_path: Path) -> None:
    write_shard(tmp_path / "x.hdf", random_scene(rads=False))
    assert read_shard(tmp_path / "x.hdf").rads is None
    assert read_layout(tmp_path / "x.hdf") == (10, 12, OPTIONAL - {"rads"})
    with pytest.raises(UserError, match="no dataset 'rads'; make the shard again"):
        read_window(tmp_path / "x.hdf", slice(0, 1), slice(0, 1), ("rads",))


def test_plain_h5py_reads_it_and_finds_units_and_flag_meanings(tmp_path: Path) -> None:
    write_shard(tmp_path / "x.hdf", random_scene())
    with h5py.File(tmp_path / "x.hdf") as file:
        assert {name: file[name].attrs["units"] for name in ("bts", "rads", "latitude")} == {
            "bts": "K",
            "rads": "mW m-2 sr-1 nm-1",
            "latitude": "degrees_north",
        }
        meanings, masks = file["flags"].attrs["flag_meanings"].split(), file["flags"].attrs["flag_masks"]
        assert dict(zip(meanings, masks, strict=True))["summary_cloud"] == 16384
        assert file.attrs["writer"].startswith(b"jaxmask ")
        # What the original's loader reads, by the names and shapes it expects.
        shapes = {name: file[name].shape for name in ("bts", "refs", "bayes", "summary")}
        assert shapes == {"bts": (10, 12, 3), "refs": (10, 12, 6), "bayes": (10, 12, 1), "summary": (10, 12, 1)}


def test_windows_are_slices_of_the_whole_from_a_path_or_an_open_file(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf"
    scene = random_scene(300, 280)  # several chunks each way
    write_shard(path, scene)
    names = ("refs", "bts", "bayes", "valid", "label_valid", "flags", "measured")
    rows, columns = slice(100, 290), slice(5, 270)
    with h5py.File(path) as file:
        for window in (read_window(path, rows, columns, names), ShardWindows(file).read(names, rows, columns)):
            for name in names:
                np.testing.assert_array_equal(window[name], getattr(scene, name)[rows, columns])


def test_a_writer_that_fails_leaves_the_old_shard_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.hdf"
    write_shard(path, random_scene())
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OSError, match="No space left"):
        write_shard(path, random_scene(20, 20))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.hdf"]


def test_arrays_of_another_shape_or_type_are_not_written(tmp_path: Path) -> None:
    scene = random_scene()
    for wrong in (scene.bts.astype(np.float64), scene.bts[:5]):
        with pytest.raises(ValueError, match=r"bts must be \(10, 12, 3\) float32; found"):
            write_shard(tmp_path / "x.hdf", dataclasses.replace(scene, bts=wrong))
    assert not list(tmp_path.iterdir())


@pytest.mark.quick
def test_the_originals_shards_are_read_with_what_can_be_known(tmp_path: Path) -> None:
    path = make_published_shard(tmp_path / "night" / f"{NAME}.hdf", 30, 40)
    scene = make_scene(NAME, 30, 40)
    with h5py.File(path, "a") as file:
        file["bts"][3, 4, 2] = 149.9
        file["bts"][3, 5, 0] = 0
        file["bayes"][0, 0] = 127.6
        file["bayes"][0, -1] = 0.01
    found = read_shard(path)
    info = found.info
    assert (info.product, info.platform, info.collection) == (NAME, "S3A", "002")
    assert info.start_time == "2018-05-31T10:00:38Z"
    assert (info.convention, info.calibration, info.regridding, info.labelled) == ("reference", "none", "resize", True)
    assert (info.rows, info.columns, info.day) == (30, 40, False)
    np.testing.assert_array_equal(found.refs, scene.refs)
    assert {getattr(found, name).dtype for name in ("refs", "bts", "rads", "latitude", "longitude")} == {np.dtype("f4")}
    assert found.bayes[0, 0] == 128
    assert found.bayes[0, -1] == 1  # cloud to the original, as any grey
    expected = np.ones((30, 40, 1))
    expected[3, 4] = 0  # S9 below 150 K; a missing S7 does not count
    np.testing.assert_array_equal(found.valid, expected)
    np.testing.assert_array_equal(found.label_valid, expected)
    assert not found.flags.any()
    assert np.isnan(found.latitude).all()
    window = read_window(path, slice(2, 5), slice(3, 6), ("refs", "valid", "bayes"))
    np.testing.assert_array_equal(window["valid"], expected[2:5, 3:6])
    assert validate(path) == read_info(path) or np.isnan(info.sun_distance_au)


def test_a_published_shard_that_is_cloud_everywhere_was_never_labelled(tmp_path: Path) -> None:
    path = make_published_shard(tmp_path / f"{NAME}.hdf", 30, 40)
    with h5py.File(path, "a") as file:
        file["bayes"][...] = 255
    assert not read_info(path).labelled


def spoil(path: Path, name: str) -> None:
    with h5py.File(path, "a") as file:
        if name == "no bts":
            del file["bts"]
        elif name == "no refs":
            del file["refs"]
        elif name == "shape":
            del file["bts"]
            file["bts"] = np.zeros((10, 11, 3), np.float32)
        elif name == "type":
            del file["valid"]
            file["valid"] = np.zeros((10, 12, 1), np.float64)
        elif name == "attribute":
            del file.attrs["convention"]
        elif name == "format":
            file.attrs["format"] = "jaxmask shard 99"
        elif name == "nan":
            file["refs"][0, 0, 0] = np.nan
        elif name == "valid":
            file["valid"][0, 0, 0] = 7
        elif name.startswith("nan "):
            file[name.split()[1]][3, 4, 2] = np.nan
        elif name == "oblique valid":
            file["oblique_valid"][0, 0, 0] = 2
        elif name == "measured":
            file["measured"][0, 0] = 512
        elif name == "flat":
            del file["refs"]
            file["refs"] = np.zeros(720, np.float32)
        elif name == "group":
            del file["bts"]
            file.create_group("bts")
        elif name == "foreign":
            for key in list(file):
                del file[key]
            file.attrs.clear()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no bts", "no dataset 'bts'; convert it again"),
        ("no refs", "no dataset 'refs'; convert it again"),
        ("shape", r"dataset 'bts' must be \(10, 12, 3\) float32; found \(10, 11, 3\) float32: convert it again"),
        ("type", r"dataset 'valid' must be \(10, 12, 1\) uint8; found \(10, 12, 1\) float64"),
        ("attribute", "no attribute 'convention'; convert it again"),
        ("format", "expected the format 'jaxmask shard 1'; found 'jaxmask shard 99'"),
        ("nan", "'refs' must be finite everywhere; found NaN or infinity"),
        ("valid", "'valid' must be 0 or 1; found 7"),
        ("nan rads", "'rads' must be finite everywhere; found NaN or infinity"),
        ("nan texture", "'texture' must be finite everywhere; found NaN or infinity"),
        ("nan oblique_bts", "'oblique_bts' must be finite everywhere; found NaN or infinity"),
        ("oblique valid", "'oblique_valid' must be 0 or 1; found 2"),
        ("measured", "'measured' must be 0 to 511; found 512"),
        ("flat", r"dataset 'refs' must be \(height, width, 6\) float32; found \(720,\): convert it again"),
        ("group", "'bts' must be a dataset; found a Group: convert it again"),
        ("foreign", "not a shard: no attribute 'format' and no dataset bts, refs, bayes, summary; expected a file of"),
    ],
)
def test_what_is_wrong_with_a_shard_is_named(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / "x.hdf"
    write_shard(path, random_scene())
    spoil(path, name)
    with pytest.raises(UserError, match=message):
        validate(path)


def test_truncated_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf"
    write_shard(path, random_scene())
    path.write_bytes(path.read_bytes()[:5000])
    (tmp_path / "text.hdf").write_text("hello")
    (tmp_path / "folder.hdf").mkdir()
    for bad, message in (
        (path, "expected a shard .HDF5 file.; found no HDF5 or a truncated one"),
        (tmp_path / "text.hdf", "found no HDF5 or a truncated one"),
        (tmp_path / "absent.hdf", "no such shard"),
        (tmp_path / "folder.hdf", "found"),
    ):
        with pytest.raises(UserError, match=message):
            read_info(bad)


@pytest.mark.parametrize("place", [0, 3, 0.3, 0.7, -1])
@pytest.mark.parametrize("name", ["refs", "latitude", "valid"])
def test_damage_inside_is_named(tmp_path: Path, name: str, place: float) -> None:
    """One bit anywhere in a chunk, in what is stored as it is too, disagrees with its checksum."""
    path = tmp_path / "x.hdf"
    write_shard(path, random_scene(200, 200))
    with h5py.File(path) as file:
        chunk = file[name].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + (int(place * chunk.size) if 0 < place < 1 else int(place) % chunk.size)] ^= 16
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"damaged .*; convert it again"):
        read_shard(path)
    with pytest.raises(UserError, match=r"damaged .*; convert it again"):
        read_window(path, slice(0, 9), slice(0, 9), (name,))


def test_one_changed_bit_is_named_or_changes_nothing(tmp_path: Path) -> None:
    """Wherever it is: chunks, their index, headers and texts have checksums."""
    scene, path = random_scene(12, 9), tmp_path / "x.hdf"
    write_shard(path, scene)
    whole, named = path.read_bytes(), 0
    rng = np.random.default_rng(4)
    for place, bit in zip(rng.integers(0, len(whole), 250), rng.integers(0, 8, 250), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            found = read_shard(path)
        except UserError as error:
            named += str(path) in str(error)
            continue
        assert found.info == scene.info
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(found, field.name), getattr(scene, field.name))
    assert named > 25  # most of so small a file is room that HDF5 left free


def test_shards_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """They were compressed by lzf in chunks of 128, which only HDF5 inflates; their texts had no fixed length."""
    scene, path = random_scene(140, 150), tmp_path / "x.hdf"
    write_shard(path, scene)
    with h5py.File(path, "a") as file:
        for field in FIELDS:
            attributes = dict(file[field.name].attrs)
            del file[field.name]
            chunks = (128, 128, *field.shape(140, 150)[2:])
            old = file.create_dataset(
                field.name, data=getattr(scene, field.name), chunks=chunks, compression="lzf", shuffle=True
            )
            old.attrs.update(attributes)
        for name, value in dict(file.attrs).items():
            if isinstance(value, bytes):
                del file.attrs[name]
                file.attrs[name] = value.decode()
    found = read_shard(path)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(found, field.name), getattr(scene, field.name))
    assert validate(path) == scene.info


def test_shards_are_found_in_day_and_night_in_a_flat_folder_or_alone(tmp_path: Path) -> None:
    for part, names in (("day", "ac"), ("night", "b")):
        (tmp_path / part).mkdir()
        for name in names:
            (tmp_path / part / f"{name}.hdf").touch()
    (tmp_path / "day" / ".a.hdf.partial-here-1").touch()
    (tmp_path / "failures.json").touch()
    assert [path.name for path in find_shards(tmp_path)] == ["a.hdf", "b.hdf", "c.hdf"]
    assert [path.name for path in find_shards(tmp_path / "night")] == ["b.hdf"]
    assert find_shards(tmp_path / "day" / "a.hdf") == [tmp_path / "day" / "a.hdf"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no shards \(\*.hdf\) in it, nor in its day/ or night/; make them by"):
        find_shards(tmp_path / "empty")
    with pytest.raises(UserError, match=r"no such folder or shard; expected the output of preprocess\.convert"):
        find_shards(tmp_path / "absent")


@pytest.mark.parametrize(("stored", "found"), [(True, "md5"), (False, ""), ("crc32", "crc32")])
def test_what_versions_that_knew_md5_sums_alone_recorded_of_checking_is_understood(
    tmp_path: Path, stored: bool | str, found: str
) -> None:
    path = tmp_path / "x.hdf"
    write_shard(path, make_scene(NAME, 40, 60))
    with h5py.File(path, "r+") as file:
        file.attrs["verified"] = stored
    assert read_info(path).verified == found
