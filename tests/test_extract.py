"""Zips good, damaged and hostile: each product whole and checked, or not there, and nothing outside its folder."""

from __future__ import annotations

import json
import socket
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from preprocess import archive, extract
from preprocess.command import run
from preprocess.errors import UserError
from preprocess.extract import ExtractConfig, extract_zip, main
from preprocess.manifest import MAX_MANIFEST_BYTES, parse_manifest
from tests.products import NAME, write_product, zip_product

SEN3 = f"{NAME}.SEN3"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("product"))


def command(*argv: object) -> int:
    return run("preprocess.extract", ExtractConfig, main, ["--workers", "0", *map(str, argv)])


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.quick
@pytest.mark.parametrize("leading", ["", "./data/of/mine/".removeprefix("./")])
def test_a_zip_becomes_its_folder(tmp_path: Path, product: Path, leading: str) -> None:
    done = extract_zip(zip_product(product, tmp_path / "any.zip", leading), tmp_path / "out")
    assert (done.name, done.reused, done.absent) == (SEN3, False, ("met_tx.nc",))
    assert contents(tmp_path / "out" / SEN3) == contents(product)


def test_the_list_may_hold_comments_blank_lines_repetitions_and_paths_of_its_own_folder(
    tmp_path: Path, product: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    zip_product(product, tmp_path / "lists" / f"{NAME}.zip")
    zip_product(product, tmp_path / "cwd" / "other.zip")
    listing = tmp_path / "lists" / "list.txt"
    listing.write_text(f"# zips\n\n{NAME}.zip\n  {NAME}.zip  \nother.zip\r\n")
    monkeypatch.chdir(tmp_path / "cwd")
    assert command(listing, tmp_path / "out", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    # One product in two zips: unpacked once.
    assert (summary["zips"], summary["products"], summary["extracted"], summary["reused"]) == (2, 1, 1, 1)
    assert summary["absent_optional_files"] == {SEN3: ["met_tx.nc"]}
    assert everything(tmp_path / "out") == {SEN3, *(f"{SEN3}/{name}" for name in contents(product))}


def test_a_second_run_reuses_what_is_there(
    tmp_path: Path, product: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zip_product(product, tmp_path / "zips" / "a.zip")
    assert command(tmp_path / "zips", tmp_path / "out") == 0
    monkeypatch.setattr(extract, "_unpack", None)  # nothing may be unpacked again
    assert command(tmp_path / "zips", tmp_path / "out") == 0
    assert "1 products of 1 zips are in" in (told := capsys.readouterr().err)
    assert "0 extracted, 1 reused" in told


def test_bad_zips_are_named_and_the_rest_goes_on(
    tmp_path: Path, product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = zip_product(product, tmp_path / "good.zip")
    (tmp_path / "half.zip").write_bytes(good.read_bytes()[:5000])
    (tmp_path / "text.zip").write_text("hello")
    listing = tmp_path / "list.txt"
    listing.write_text("half.zip\nabsent.zip\ngood.zip\ntext.zip\n")
    assert command(listing, tmp_path / "out") == 3
    failures = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert [Path(failure["item"]).name for failure in failures] == ["half.zip", "absent.zip", "text.zip"]
    assert "not a zip, or a truncated one" in failures[0]["error"]
    assert "no such zip" in failures[1]["error"]
    assert (tmp_path / "out" / SEN3).is_dir()
    assert "3 failed; all of them are listed in" in capsys.readouterr().err
    # Mended, the list of failures goes.
    listing.write_text("good.zip\n")
    assert command(listing, tmp_path / "out") == 0
    assert everything(tmp_path / "out") == {SEN3, *(f"{SEN3}/{name}" for name in contents(product))}


def test_parallel_workers_do_the_same(tmp_path: Path, product: Path) -> None:
    zips = tmp_path / "zips"
    zip_product(product, zips / "a.zip")
    (zips / "b.zip").write_text("hello")
    assert run("preprocess.extract", ExtractConfig, main, [str(zips), str(tmp_path / "out"), "--workers", "2"]) == 3
    assert contents(tmp_path / "out" / SEN3) == contents(product)


@pytest.mark.parametrize("source", ["absent", "empty", "blank.txt"])
def test_nothing_to_do_is_a_usage_error(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank.txt").write_text("\n")
    assert command(tmp_path / source, tmp_path / "out") == 2
    assert "preprocess.extract: error:" in (told := capsys.readouterr().err)
    assert str(tmp_path / source) in told
    assert not (tmp_path / "out").exists()


def rewrite(product: Path, path: Path, edit: Callable[[zipfile.ZipFile, Path], None]) -> Path:
    """The product's zip with something more in it."""
    zip_product(product, path)
    with zipfile.ZipFile(path, "a") as opened:
        edit(opened, product)
    return path


def add(name: str, mode: int = stat.S_IFREG | 0o644, data: bytes = b"x") -> Callable[[zipfile.ZipFile, Path], None]:
    def edit(opened: zipfile.ZipFile, product: Path) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        opened.writestr(info, data)

    return edit


HOSTILE = {
    "absolute": (add("/tmp/evil"), "'/tmp/evil' in it is not a plain relative path"),
    "climbing": (add(f"{SEN3}/../../evil"), "is not a plain relative path; nothing of it was unpacked"),
    "climbing first": (add("../evil"), "is not a plain relative path"),
    "backslash": (add(f"{SEN3}\\..\\..\\evil"), "is not a plain relative path"),
    "drive": (add("C:/evil"), "is not a plain relative path"),
    "empty part": (add(f"{SEN3}//evil"), "is not a plain relative path"),
    "link": (add(f"{SEN3}/link", stat.S_IFLNK | 0o777, b"/etc/passwd"), "link' in it is a link"),
    "device": (add(f"{SEN3}/device", stat.S_IFCHR | 0o666), "is no plain file"),
    "two products": (add("S3A_OTHER.SEN3/file.nc"), "expected exactly one folder NAME.SEN3 with plain files in it"),
    "another folder": (add("more/a.txt"), "expected exactly one folder NAME.SEN3 with plain files in it; found S3A"),
    "deeper": (add(f"{SEN3}/sub/file.nc"), "expected exactly one folder NAME.SEN3"),
    "same name": (add(f"{SEN3}/FLAGS_IN.nc"), "holds two files of the same name"),
    "unlisted": (add(f"{SEN3}/more.nc"), "the manifest does not list more.nc; fetch the zip again"),
    "bomb": (add(f"{SEN3}/bomb.nc", data=bytes(20 * 2**20)), "would unpack to 20971520 bytes"),
}


def test_loose_files_beside_the_product_are_left_in_the_zip(tmp_path: Path, product: Path) -> None:
    path = rewrite(product, tmp_path / "in" / "x.zip", add("EOPMetadata.xml"))
    (tmp_path / "out").mkdir()
    extract_zip(path, tmp_path / "out")
    assert [found.name for found in (tmp_path / "out").iterdir()] == [SEN3]


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_zips_are_refused_and_nothing_is_unpacked(tmp_path: Path, product: Path, kind: str) -> None:
    edit, message = HOSTILE[kind]

    def packed(opened: zipfile.ZipFile, product: Path) -> None:
        opened.compression = zipfile.ZIP_DEFLATED
        edit(opened, product)

    path = rewrite(product, tmp_path / "in" / "x.zip", packed)
    if kind == "bomb":
        deflate(path, f"{SEN3}/bomb.nc", bytes(20 * 2**20))
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=message):
        extract_zip(path, tmp_path / "out")
    assert everything(tmp_path) == {"in", "in/x.zip", "out"}


def deflate(path: Path, name: str, data: bytes) -> None:
    """Write the zip again with one member deflated: writestr of a ZipInfo stores."""
    with zipfile.ZipFile(path) as old:
        kept = [(info, old.read(info)) for info in old.infolist() if info.filename != name]
    with zipfile.ZipFile(path, "w") as new:
        for info, content in kept:
            new.writestr(info, content)
        new.writestr(name, data, compress_type=zipfile.ZIP_DEFLATED)


def test_an_exact_duplicate_is_refused(tmp_path: Path, product: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = rewrite(product, tmp_path / "x.zip", add(f"{SEN3}/flags_in.nc"))
    with pytest.raises(UserError, match="holds two files of the same name"):
        extract_zip(path, tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path, product: Path) -> None:
    path = zip_product(product, tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="is encrypted; give a zip without a password"):
        extract_zip(path, tmp_path / "out")


def test_sizes_that_add_up_to_too_much_are_refused(
    tmp_path: Path, product: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_product(product, tmp_path / "x.zip")
    monkeypatch.setattr(archive, "MAX_PRODUCT_BYTES", 10_000)
    with pytest.raises(UserError, match=r"it would unpack to .* bytes; at most 10000 are believable"):
        extract_zip(path, tmp_path / "out")
    monkeypatch.setattr(archive, "MAX_FILES", 5)
    with pytest.raises(UserError, match="files in it; a product has at most 5"):
        extract_zip(path, tmp_path / "out")


def test_a_header_that_lies_about_its_size_is_caught_by_the_manifest_or_while_unpacking(
    tmp_path: Path, product: Path
) -> None:
    path = zip_product(product, tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    central = data.find(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 17)
    path.write_bytes(data)
    for verify in ("md5", "none"):
        with pytest.raises(UserError, match="fetch the zip again"):
            extract_zip(path, tmp_path / "out", verify)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists() or not everything(tmp_path / "out")


def changed(product: Path, tmp_path: Path, file: str, change: Callable[[bytes], bytes]) -> Path:
    """A zip in which one file is not what the manifest says."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        for name, data in contents(product).items():
            opened.writestr(f"{SEN3}/{name}", change(data) if name == file else data)
    return tmp_path / "x.zip"


@pytest.mark.quick
def test_the_md5_sum_and_the_size_are_held_against_the_manifest(tmp_path: Path, product: Path) -> None:
    path = changed(product, tmp_path, "S8_BT_in.nc", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(UserError, match=r"S8_BT_in.nc has the MD5 sum \w{32}; the manifest says \w{32}: fetch"):
        extract_zip(path, tmp_path / "out")
    assert not everything(tmp_path / "out")
    assert not extract_zip(path, tmp_path / "size", "size").reused
    longer = changed(product, tmp_path, "S8_BT_in.nc", lambda data: data + b"x")
    with pytest.raises(UserError, match=r"S8_BT_in.nc has \d+ bytes; the manifest says \d+"):
        extract_zip(longer, tmp_path / "out", "size")
    assert not extract_zip(longer, tmp_path / "none", "none").reused


def test_damaged_bytes_in_a_zip_are_caught_even_without_verification(tmp_path: Path, product: Path) -> None:
    path = zip_product(product, tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    at = data.find(b"S8_BT_in.nc") + 3000
    data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"is truncated or damaged in it .*CRC"):
        extract_zip(path, tmp_path / "out", "none")
    assert not everything(tmp_path / "out")


@pytest.mark.parametrize("file", ["S8_BT_in.nc", "xfdumanifest.xml"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_compressed_bytes_are_told_whatever_the_method(
    tmp_path: Path, product: Path, method: int, file: str
) -> None:
    """Each method's own exception: zlib.error, an OSError without a number, LZMAError."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, content in contents(product).items():
            opened.writestr(f"{SEN3}/{name}", content)
        at = opened.getinfo(f"{SEN3}/{file}").header_offset + 30 + len(f"{SEN3}/{file}")
    data = bytearray(path.read_bytes())
    spared = 9 if method == zipfile.ZIP_LZMA else 0  # its header, which says how large a dictionary to make
    data[at + spared : at + 60] = b"\xff" * (60 - spared)
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"x.zip: {file} (in it )?is .*damaged.*; fetch the zip again"):
        extract_zip(path, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not everything(tmp_path / "out")


@pytest.mark.parametrize("file", ["xfdumanifest.xml", "S4_radiance_an.nc", "geodetic_in.nc"])
def test_a_required_file_that_is_not_there_is_named(tmp_path: Path, product: Path, file: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        for name, data in contents(product).items():
            if name != file:
                opened.writestr(f"{SEN3}/{name}", data)
    with pytest.raises(UserError, match=f"{SEN3} in it lacks {file}; fetch the whole product"):
        extract_zip(tmp_path / "x.zip", tmp_path / "out")


def test_an_interrupted_product_is_not_there_and_its_leftovers_go(
    tmp_path: Path, product: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_product(product, tmp_path / "x.zip")

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(extract, "_unpack", interrupt)
        with pytest.raises(KeyboardInterrupt):
            extract_zip(path, tmp_path / "out")
    assert not everything(tmp_path / "out")
    # A killed process could not clean up; the next run does.
    dead = tmp_path / "out" / f".{SEN3}.partial-{socket.gethostname()}-0123abcd"
    dead.mkdir()
    assert command(path, tmp_path / "out") == 0
    assert not dead.exists()


@pytest.mark.parametrize("moment", ["_check_space", "_unpack"])
def test_a_product_that_another_command_unpacks_meanwhile_is_taken_as_it_is(
    tmp_path: Path, product: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The other one ends before this one begins to write, and while it does."""
    path = zip_product(product, tmp_path / "x.zip")
    whole = getattr(extract, moment)

    def other_first(*args: object, **flags: object) -> None:
        monkeypatch.setattr(extract, moment, whole)
        assert not extract_zip(path, tmp_path / "out").reused
        whole(*args, **flags)

    monkeypatch.setattr(extract, moment, other_first)
    assert extract_zip(path, tmp_path / "out").reused
    assert contents(tmp_path / "out" / SEN3) == contents(product)
    assert [found.name for found in (tmp_path / "out").iterdir()] == [SEN3]


def test_another_version_of_the_product_is_not_taken_for_it(tmp_path: Path, product: Path) -> None:
    extract_zip(zip_product(product, tmp_path / "x.zip"), tmp_path / "out")
    manifest = tmp_path / "out" / SEN3 / "xfdumanifest.xml"
    manifest.write_text(manifest.read_text().replace("met_tx", "met_tz"))
    with pytest.raises(UserError, match=r"holds another version of the product than .*; remove the folder"):
        extract_zip(tmp_path / "x.zip", tmp_path / "out")


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_a_folder_that_another_tool_left_half_unpacked_is_not_reused(
    tmp_path: Path, product: Path, change: Callable[[Path], object]
) -> None:
    extract_zip(zip_product(product, tmp_path / "x.zip"), tmp_path / "out")
    change(tmp_path / "out" / SEN3 / "S8_BT_in.nc")
    with pytest.raises(
        UserError, match=r"S8_BT_in.nc is missing, or is not the \d+ bytes that .*x.zip holds.*remove it"
    ):
        extract_zip(tmp_path / "x.zip", tmp_path / "out")


def test_a_manifest_of_absurd_size_is_not_taken_apart() -> None:
    with pytest.raises(UserError, match="here: refused: 16777217 bytes; at most 16777216 are believable"):
        parse_manifest(bytes(MAX_MANIFEST_BYTES + 1), "here")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<a><byteStream", "not a readable manifest"),
        (b"<a/>", "the manifest lists no files"),
        (b"<a><byteStream size='1'/></a>", "an entry without a fileLocation or an MD5 checksum"),
        (
            b"<a><byteStream size='x'><fileLocation href='./f'/><checksum checksumName='MD5'>0</checksum>"
            b"</byteStream></a>",
            "not a readable manifest .*invalid literal",
        ),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "refused: a manifest declares no document type or entities"),
    ],
)
def test_bad_manifests_are_named(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=f"here: .*{message}" if "refused" not in message else message):
        parse_manifest(data, "here")


def test_the_measured_manifest_is_read_and_its_files_fit(real_product: Path) -> None:
    entries = parse_manifest((real_product / "xfdumanifest.xml").read_bytes(), "manifest")
    assert len(entries) == 111 - 1
    sizes = {file.name: file.stat().st_size for file in real_product.glob("*.nc")}
    assert {name: entries[name].size for name in sizes} == sizes
