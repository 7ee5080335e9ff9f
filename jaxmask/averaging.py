"""Several networks, and the mirror images of a scene, as one network: the mean of their logits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmask.logits import Logits

DIGEST_LETTERS = 16  # of a model and of several
# What of an image (B, H, W, 9), or of its logits (B, H, W), is turned round: nothing, rows, columns, both.
MIRRORS = (np.s_[:, :, :], np.s_[:, ::-1, :], np.s_[:, :, ::-1], np.s_[:, ::-1, ::-1])


def averaged(members: Sequence[Logits], flips: bool) -> Logits:
    """Return the network whose logits are the mean of those of `members`.

    With `flips` each member sees the image and its three mirror images (up-down, left-right, both), whose logits are
    turned back: four times the work. One member without flips is returned as it is.
    All members must take one kind of input and be trained with one weight of cloud (ensemble.py), as logits of
    different meaning have no mean. Sums are in the logits' own float32, in the members' order.
    Raises ValueError if there is no member.
    """
    if not members:
        raise ValueError("the mean of no networks: expected one or more")
    mirrors = MIRRORS if flips else MIRRORS[:1]
    if len(members) * len(mirrors) == 1:
        return members[0]

    def logits(images: np.ndarray) -> Any:
        # Not waited for one by one: a device is given its next work while it computes. Each mirror is its own inverse.
        mirrored = [np.ascontiguousarray(images[mirror]) for mirror in mirrors]
        found = [member(image)[mirror] for member in members for image, mirror in zip(mirrored, mirrors, strict=True)]
        return sum(found[1:], start=found[0]) / len(found)

    return logits


def combined_digest(digests: Sequence[str]) -> str:
    """Return what names an ensemble, whatever the order of its members; of one model, that model's digest.

    The first 16 hexadecimal letters of the SHA-256 of the members' digests, sorted and joined by spaces.
    """
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256(" ".join(sorted(digests)).encode()).hexdigest()[:DIGEST_LETTERS]
