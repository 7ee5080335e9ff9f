"""Edge: `history.jsonl`, one line an epoch: what it holds, how it is told, reading and writing it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxmask.position import PARTS, Part, Pass
from preprocess.errors import UserError
from preprocess.files import whole_file

HISTORY_NAME = "history.jsonl"

Epoch = dict[str, Any]


def epoch_line(epoch: int, passes: Mapping[Part, Pass]) -> Epoch:
    """Return the line of epoch number `epoch`: each part's scores and seconds (None without it) and patches.

    patches_per_second counts what was trained on over the time of training. Of an epoch that several runs took part in,
    the seconds are those of all of them, up to what each had saved.
    """
    trained = passes["train"]
    given = {part: passes.get(part) for part in PARTS}
    return {
        "epoch": epoch,
        **{part: found.scores() if found else None for part, found in given.items()},
        **{f"{part}_seconds": found.seconds if found else None for part, found in given.items()},
        **{f"{part}_patches": found.patches if found else 0 for part, found in given.items()},
        "patches_per_second": trained.patches / trained.seconds,
        "wait_share": trained.waited_seconds / trained.seconds,
    }


def epoch_message(line: Epoch, epochs: int) -> str:
    """Return the line that people read: epoch, scores, throughput, seconds."""
    scores = [_scores(part, line[part]) for part in PARTS if line.get(part)]
    return (
        f"epoch {line['epoch']}/{epochs}: {', '.join(scores)}; {line['patches_per_second']:.1f} patches/s, "
        f"{epoch_seconds(line):.1f} s, waited {100 * line['wait_share']:.0f} %"
    )


def epoch_seconds(line: Epoch) -> float:
    """Return the seconds of all parts of an epoch."""
    return sum(line.get(f"{part}_seconds") or 0.0 for part in PARTS)


def read_history(folder: Path) -> list[Epoch]:
    """Return the epochs of the model `folder`, the first one first; none if it has no history.

    Raises UserError naming file and line where a line is not an epoch's, or not the next one's.
    """
    path = folder / HISTORY_NAME
    lines = path.read_text().splitlines() if path.exists() else []
    epochs: list[Epoch] = []
    for number, line in enumerate(lines, start=1):
        try:
            epoch = json.loads(line)
            follows = epoch["epoch"] == number
        except (ValueError, KeyError, TypeError):
            follows = False
        if not follows:
            raise UserError(
                f"{path}, line {number}: expected the JSON object of epoch {number}; remove the file and train with "
                "--overwrite, or put it back as it was"
            )
        epochs.append(epoch)
    return epochs


def write_history(folder: Path, epochs: Sequence[Epoch]) -> None:
    """Write all `epochs`, whole or not at all: a killed run never leaves half a line."""
    with whole_file(folder / HISTORY_NAME) as partial:
        partial.write_text("".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in epochs))


def _scores(name: str, scores: Mapping[str, float | None]) -> str:
    loss, accuracy = (f"{scores[key]:.4f}" if scores[key] is not None else "none" for key in ("loss", "accuracy"))
    return f"{name} loss {loss} accuracy {accuracy}"
