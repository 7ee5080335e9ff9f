"""Edge: `history.jsonl`, one line an epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from preprocess.errors import UserError
from preprocess.files import whole_file

HISTORY_NAME = "history.jsonl"

Epoch = dict[str, Any]


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
