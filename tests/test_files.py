"""Files and folders appear whole or not at all, and leftovers of dead writers go."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preprocess.errors import UserError
from preprocess.files import AlreadyThereError, clear_leftovers, whole_file, whole_folder, writable_folder, write_json

ROOT = Path(__file__).resolve().parents[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.quick
def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    with whole_file(target) as partial:
        partial.write_text("half")
        assert not target.exists()
        assert partial.parent.parent == target.parent  # a rename within one file system
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


def test_of_two_writers_of_one_folder_the_first_to_end_stays(tmp_path: Path) -> None:
    def race() -> None:
        with whole_folder(tmp_path / "x") as one:
            (one / "a").write_text("one")
            with whole_folder(tmp_path / "x") as two:
                (two / "a").write_text("two")

    with pytest.raises(AlreadyThereError, match="x exists already: remove it to have it made again"):
        race()
    assert (tmp_path / "x" / "a").read_text() == "two"
    assert names(tmp_path) == ["x"]


def leftover(folder: Path, host: str, days_old: float = 0) -> Path:
    """What a killed writer leaves, last changed so many days ago."""
    place = folder / f".x.hdf.partial-{host}-0123abcd"
    place.mkdir(parents=True)
    for name in ("lock", "partial"):
        (place / name).touch()
    then = time.time() - days_old * 86_400
    for path in (place / "partial", place):
        os.utime(path, (then, then))
    return place


def test_leftovers_of_dead_writers_on_this_machine_go_and_no_others(tmp_path: Path) -> None:
    leftover(tmp_path, socket.gethostname())
    kept = [".hidden", ".x.partial-mine", "x.partial-1", leftover(tmp_path, "elsewhere").name]
    for name in kept[:3]:
        (tmp_path / name).touch()
    with whole_file(tmp_path / "living") as partial:
        partial.write_text("whole")
        kept.append(partial.parent.name)
        clear_leftovers(tmp_path)
        assert names(tmp_path) == sorted(kept)
    assert names(tmp_path) == sorted([*kept[:-1], "living"])
    clear_leftovers(tmp_path / "absent")


def test_leftovers_of_other_hosts_go_when_they_have_not_changed_for_a_day(tmp_path: Path) -> None:
    old, young = leftover(tmp_path / "a", "else-where", 1.01), leftover(tmp_path / "b", "else-where", 0.99)
    for folder in ("a", "b"):
        clear_leftovers(tmp_path / folder)
    assert (old.exists(), young.exists()) == (False, True)


def test_an_old_folder_whose_writer_lives_stays(tmp_path: Path) -> None:
    old = leftover(tmp_path, "elsewhere", 2)
    with (old / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        clear_leftovers(tmp_path)
        assert old.exists()
    clear_leftovers(tmp_path)
    assert not old.exists()


@pytest.mark.parametrize(("days", "stays"), [(0.5, True), (2, False)])
def test_without_locks_leftovers_go_by_their_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, stays: bool
) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    place = leftover(tmp_path, socket.gethostname(), days)
    clear_leftovers(tmp_path)
    assert place.exists() == stays
    with whole_file(tmp_path / "x.txt") as partial:
        partial.write_text("whole")
    assert (tmp_path / "x.txt").read_text() == "whole"


CLEARING = """
import sys
from pathlib import Path
from preprocess.files import AlreadyThereError, clear_leftovers
while True:
    clear_leftovers(Path(sys.argv[1]))
"""


def test_a_writer_never_loses_its_file_to_those_who_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrow moment is between making the folder and locking it; each loss would be a FileNotFoundError."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # time is better spent on more trials
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    clearing = [subprocess.Popen([sys.executable, "-c", CLEARING, tmp_path], env=environment) for _ in range(2)]
    try:
        for _ in range(400):
            with whole_file(tmp_path / "x.txt") as partial:
                partial.write_text("whole")
    finally:
        for process in clearing:
            process.kill()
            process.wait()
    clear_leftovers(tmp_path)
    assert names(tmp_path) == ["x.txt"]


def test_writers_of_one_file_share_nothing_even_in_one_process(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x.txt") as one, whole_file(tmp_path / "x.txt") as two:
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / "x.txt").read_text() == "one"  # the outer ends last
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("named", [False, True])
def test_an_error_of_the_disk_names_the_file_not_its_temporary_name(tmp_path: Path, named: bool) -> None:
    def fail() -> None:
        with whole_file(tmp_path / "x.txt") as partial:
            raise OSError(errno.ENOSPC, "No space left on device", str(partial) if named else None)

    with pytest.raises(OSError, match="No space left on device") as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "x.txt")


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_file(tmp_path / "x.txt"):
            (tmp_path / "absent").read_bytes()

    with pytest.raises(FileNotFoundError) as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "absent")


def test_what_can_not_be_synced_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def write() -> None:
        with whole_file(tmp_path / "x.txt") as partial:
            partial.write_text("half")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=r"Input/output error: .*x\.txt"):
        write()
    assert names(tmp_path) == []


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


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOSPC])
def test_a_folder_that_may_be_made_but_holds_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As under a umask, or an access list, that takes the right to write away from its own writer."""

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match="the output folder can't be written"):
        writable_folder(tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_leftovers_that_cannot_be_looked_at_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may have lost a folder that it still lists."""
    places = [leftover(tmp_path, socket.gethostname())]
    places.append(places[0].rename(tmp_path / places[0].name.replace("x", "y", 1)))
    leftover(tmp_path, socket.gethostname())
    kept, real = [], os.open

    def refuse_once(path: Path, *arguments: int, **options: int | None) -> int:
        if not kept:
            kept.append(Path(path).parent)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse_once)
    clear_leftovers(tmp_path)
    assert [place for place in places if place.exists()] == kept


def test_json_is_strict_and_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, None]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, None]}
    assert names(tmp_path) == ["x.json"]
