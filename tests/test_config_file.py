"""Flags from a file: the same as on the command line, which wins; what is wrong is told by file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jaxmask.command_line import parse
from jaxmask.config import TrainConfig, to_json
from jaxmask.machine import Machine
from jaxmask.record import Record
from jaxmask.results_row import write_parameters
from jaxmask.train import TrainCommand as Command
from preprocess import command
from preprocess.errors import UserError


def parsed(path: Path, text: str, *words: str) -> Command:
    path.write_text(text)
    return parse(Command, "x", [*words, "--config", str(path)])


def by_words(*words: str) -> Command:
    return command.parse(Command, "x", words)


ALL = """
# what a run may say
learning-rate: 1e-3
scale_learning_rate: true
schedule: cosine
warmup_epochs: 2
clip-norm: 0.5
ema: .999
epochs: 5
early-stopping: 2
validation-split: 0.1
batch_size: 8
no-cache: no
cache: none
compile_cache: /tmp/programs
global_batch_size: null
shards: hdf
model: runs/one
"""


@pytest.mark.quick
@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_says_the_same_as_the_command_line(tmp_path: Path, as_json: bool) -> None:
    text = ALL
    if as_json:
        flags = {"learning-rate": 1e-3, "scale_learning_rate": True, "schedule": "cosine", "warmup_epochs": 2}
        flags |= {"clip-norm": 0.5, "ema": 0.999, "epochs": 5, "early-stopping": 2, "validation-split": 0.1}
        flags |= {"batch_size": 8, "no-cache": False, "cache": "none", "compile_cache": "/tmp/programs"}
        text = json.dumps(flags | {"global_batch_size": None, "shards": "hdf", "model": "runs/one"}, indent="\t")
    words = (
        "hdf runs/one --learning-rate 0.001 --scale-learning-rate --schedule cosine --warmup-epochs 2 --clip-norm .5"
    )
    words += " --ema .999 --epochs 5 --early-stopping 2 --validation-split .1 --batch-size 8 --cache none"
    path = tmp_path / "run"
    assert parsed(path, text) == by_words(*words.split(), "--compile-cache", "/tmp/programs", "--config", str(path))


def test_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    text = "epochs: 5\naugment: true\nno_cache: true\nglobal_batch_size: 64\nearly_stopping: 3\n"
    words = ["a", "b", "--epochs=7", "--augment", "--cache", "host", "--batch_size", "4", "--validation-split", ".2"]
    made = parsed(file, text, *words)
    assert made == by_words(*words, "--early-stopping", "3", "--config", str(file))
    assert (made.epochs, made.cache_mode, made.global_batch_size) == (7, "host", None)


@pytest.mark.parametrize(
    ("text", "words", "folders"),
    [
        ("shards: s\nmodel: m", [], ("s", "m")),
        ("shards: s\nmodel: m", ["a", "--quiet", "b"], ("a", "b")),
        ("shards: s", ["--augment", "b"], ("s", "b")),
        ("model: m", ["--epochs", "3", "a"], ("a", "m")),
        ("epochs: 3", ["a", "b"], ("a", "b")),
        ("", ["a", "b"], ("a", "b")),
    ],
)
def test_folders_may_be_in_the_file(tmp_path: Path, text: str, words: list[str], folders: tuple[str, str]) -> None:
    made = parsed(tmp_path / "run.yaml", text, *words)
    assert (str(made.shards), str(made.model)) == folders


def test_a_home_folder_is_meant_by_a_tilde(tmp_path: Path) -> None:
    assert parsed(tmp_path / "run.yaml", "shards: ~/hdf", "b").shards == Path.home() / "hdf"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "epochs: 3\nlerning_rate: 0.1\n",
            "run.yaml, line 2: there is no flag lerning_rate; did you mean learning_rate",
        ),
        ("soup: 1", "line 1: there is no flag soup; --help lists them all"),
        ("config: other.yaml", "line 1: there is no flag config"),
        ("epochs: 3\n\nlearning-rate: 1\nlearning_rate: 2", "line 4: learning_rate is there twice, first in line 3"),
        ('{"seed": 1,\n "seed": 2}', "line 2: seed is there twice, first in line 1"),
        ("epochs: thirty", "line 1: epochs must be a whole number; found 'thirty'"),
        ("epochs: 3.0", "line 1: epochs must be a whole number; found 3.0"),
        ("epochs: true", "line 1: epochs must be a whole number; found true"),
        ("epochs:", "line 1: epochs must be a whole number; found nothing"),
        ('learning_rate: "1e-3"', "line 1: learning_rate must be a number; found '1e-3'"),
        ("augment: 1", "line 1: augment must be true or false; found 1"),
        ("cache: disk", "line 1: cache must be one of none, host, device; found 'disk'"),
        ("clip_norm: big", "line 1: clip_norm must be a number; found 'big'"),
        ("shards: 7", "line 1: shards must be a path; found 7"),
        ("\nepochs: 0", "run.yaml, line 2: --epochs must be 1 or more; found 0"),
        ("early_stopping: 3", "run.yaml, line 1: --early-stopping needs --validation-split"),
        ("- epochs\n- 3", "expected flags, name: value, one a line, or a JSON object; found a sequence"),
        ("epochs: \x07", "expected YAML or JSON, found otherwise .*special characters are not allowed"),
        ("epochs: [3", "line 1: expected YAML or JSON, found otherwise"),
        ("epochs: !!python/object:os.system {}", "line 1: expected YAML or JSON, found otherwise .could not determine"),
    ],
)
def test_what_is_wrong_is_told_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parsed(tmp_path / "run.yaml", text, "a", "b")


def test_an_error_of_the_command_line_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--epochs must be 1 or more"):
        parsed(tmp_path / "run.yaml", "epochs: 3", "a", "b", "--epochs", "0")


def test_folders_that_could_be_meant_in_two_ways_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="gives SHARDS and MODEL, so the command line must give none, or all of SHARDS MO"
    ):
        parsed(tmp_path / "run.yaml", "shards: s\nmodel: m", "b")
    with pytest.raises(UserError, match=r"gives MODEL, so the command line must give SHARDS, or all of .*; found none"):
        parsed(tmp_path / "run.yaml", "model: m")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"run.yaml: expected a YAML or JSON file of flags; it can't be read: "):
        parse(Command, "x", ["a", "b", "--config", str(tmp_path / "run.yaml")])


def test_a_recorded_run_is_repeated_by_its_own_files(tmp_path: Path) -> None:
    config = TrainConfig(seed=7, ema=0.9, no_cache=True, overwrite=True, quiet=True, num_processes=1, process_id=0,
                         coordinator="a:1")  # fmt: skip
    record: Record = {
        "flags": to_json(config),
        "global_batch_size": 64,
        "split": {"train": []},
        "versions": {"jax": "1"},
    }
    (tmp_path / "config.json").write_text(json.dumps(record))
    write_parameters(tmp_path, config, 64, Machine("node", 1, 2, 0, "cpu"))
    for name, batch in (("config.json", None), ("train_params.json", 64)):
        path = tmp_path / name
        expected = by_words("a", "b", "--seed", "7", "--ema", ".9", "--no-cache", "--config", str(path))
        made = parse(Command, "x", ["a", "b", "--config", str(path)])
        assert to_json(made) == to_json(expected) | {"global_batch_size": batch}


def test_help_is_whole_with_a_file_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parsed(tmp_path / "run.yaml", "epochs: 3\nshards: s", "--help")
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert all(name in told for name in ("SHARDS", "MODEL", "--train-split", "--config"))
