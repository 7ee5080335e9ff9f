"""Files and folders appear whole or not at all, and leftovers of dead writers go."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from preprocess.errors import UserError
from preprocess.files import clear_leftovers, whole_file, whole_folder, writable_folder, write_json

NO_PROCESS = 2**22 + 1  # above the largest process id of Linux


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.quick
def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    with whole_file(target) as partial:
        partial.write_text("half")
        assert not target.exists()
        assert partial.parent == target.parent  # a rename within one file system
        partial.write_text("whole")
    assert target.read_text() == "whole"
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")

    def write() -> None:
        with whole_file(target) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.quick
def test_a_folder_appears_when_it_is_complete_and_only_then(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "deep" / "x") as partial:
        (partial / "a").write_text("a")
        (partial / "sub").mkdir()
        (partial / "sub" / "b").write_text("b")
        assert not (tmp_path / "deep" / "x").exists()
    assert (tmp_path / "deep" / "x" / "sub" / "b").read_text() == "b"

    def fail() -> None:
        with whole_folder(tmp_path / "y") as partial:
            (partial / "a").write_text("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == ["deep"]


def test_a_folder_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with (
        pytest.raises(UserError, match="x exists already: remove it to have it made again"),
        whole_folder(tmp_path / "x"),
    ):
        pass
    assert names(tmp_path) == ["x"]


def test_leftovers_of_dead_writers_on_this_machine_go_and_no_others(tmp_path: Path) -> None:
    host = socket.gethostname()
    dead_file, dead_folder = f".x.hdf.partial-{host}-{NO_PROCESS}", f".y.SEN3.partial-{host}-{NO_PROCESS}"
    kept = [f".x.hdf.partial-{host}-{os.getpid()}", f".x.hdf.partial-elsewhere-{NO_PROCESS}", ".hidden", "x.partial-1"]
    for name in (dead_file, *kept):
        (tmp_path / name).touch()
    (tmp_path / dead_folder).mkdir()
    (tmp_path / dead_folder / "a.nc").touch()
    clear_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)
    clear_leftovers(tmp_path / "absent")


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    assert writable_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert names(tmp_path / "a" / "b") == []


def test_an_output_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"the output folder can't be written \(.*\); choose another or mend"):
            writable_folder(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(UserError, match=r"can't be written \(Permission denied\)"):
            writable_folder(tmp_path)
    finally:
        tmp_path.chmod(0o755)


def test_json_is_strict_and_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, None]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, None]}
    assert names(tmp_path) == ["x.json"]
