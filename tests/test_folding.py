"""Messages on a terminal, by hand: folded at a hanging indent, long names shortened, heads painted."""

from __future__ import annotations

import pytest

from preprocess.folding import RED, folded, painted
from tests.shards import product_name

NAME = "S3A_SL_1_RBT____20180510T013727_20180510T014027_20180511T102927_0179_031_074_2881_LN2_O_NT_002"


@pytest.mark.quick
def test_a_line_is_folded_between_words_at_a_hanging_indent() -> None:
    text = "x: error: nowhere: no such file or folder; expected a zip"
    assert folded(text, 30) == "x: error: nowhere: no such\n  file or folder; expected a\n  zip"
    assert folded(text, len(text)) == text
    assert folded("  two spaces in, and it goes on", 20) == "  two spaces in, and\n    it goes on"
    assert folded("short\n" + "word " * 5, 22) == "short\nword word word word\n  word"
    assert folded(text, 10) == text, "too narrow for any of this"


def test_tables_and_long_words_are_left_whole() -> None:
    row = "sea        clear            128801  false alarm    23.7%        2.0%"
    assert folded(row, 40) == row
    assert folded("| a | b |" + "-" * 40, 40) == "| a | b |" + "-" * 40
    path = "out/" + "x" * 50
    assert folded(f"failed: {path}: no file", 40) == f"failed:\n  {path}:\n  no file"


def test_long_names_lose_their_middle_only_where_they_do_not_fit() -> None:
    told = f"failed: /far/away/{NAME}.zip: not a zip"
    short = "/far/away/S3A_SL_1_RBT____20180510T013727..._LN2_O_NT_002.zip:"
    assert folded(told, 80, shorten=True) == f"failed: {short} not a zip"
    assert folded(told, 80) == f"failed:\n  /far/away/{NAME}.zip:\n  not a zip"
    assert folded(told, 120, shorten=True) == f"failed: /far/away/{NAME}.zip:\n  not a zip"
    assert folded(product_name(0), 80, shorten=True) == product_name(0)[:31] + "..." + product_name(0)[-13:]


def test_a_command_goes_on_as_a_shell_has_it() -> None:
    told = folded("[1/8] python -m preprocess.simulate archive --products 4", 40, continuation=" \\")
    assert told == "[1/8] python -m preprocess.simulate \\\n  archive --products 4"
    assert max(map(len, told.splitlines())) <= 40


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("x: error: a: not there", "x: error"),
        ("jaxmask train: error: a: not there", "jaxmask train: error"),
        ("warning: the model: odd", "warning"),
        ("left out: a: odd", "left out"),
        ("--profile: too few steps", "--profile"),
        ("demo/model: 3 epochs", ""),
        ("3 failed; all of them are listed in failures.json", ""),
    ],
)
def test_only_the_head_of_a_message_is_painted(text: str, head: str) -> None:
    assert painted(text, RED) == (f"{RED}{head}\x1b[0m{text[len(head) :]}" if head else text)
