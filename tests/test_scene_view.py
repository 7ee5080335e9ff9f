"""What is said of a scene beside its pictures, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.scene_view import scene_facts
from jaxmask.seen import SeenScene
from tests.shards import INFO

SHAPE = (1, 4)


def seen(label_valid: list[bool]) -> SeenScene:
    """Label: cloud, cloud, clear, clear; mask: cloud, clear, clear, cloud; all of it valid."""
    nothing = np.zeros(SHAPE, np.float32)
    return SeenScene(
        info=INFO,
        base=np.zeros((*SHAPE, 3), np.uint8),
        refs=np.zeros((*SHAPE, 6), np.float32),
        bts=np.zeros((*SHAPE, 3), np.float32),
        measured=np.zeros(SHAPE, np.uint16),
        label=np.array([[True, True, False, False]]),
        label_valid=np.array([label_valid]),
        probability=np.array([[0.9, 0.1, 0.1, 0.9]], np.float32),
        valid=np.ones(SHAPE, bool),
        flags=np.zeros(SHAPE, np.uint16),
        latitude=nothing,
        longitude=nothing,
        threshold=0.5,
        quantity="q",
    )


@pytest.mark.quick
def test_both_shares_are_of_the_pixels_that_label_and_mask_know() -> None:
    facts = dict(scene_facts(seen([True, True, True, False])))
    assert facts["cloud in the label"] == "66.7 %", "2 of the 3 labelled"
    assert facts["cloud in the U-Net"] == "33.3 %", "1 of these 3, not 2 of all 4"
    assert facts["disagreement"] == "33.3 % of 3 pixels"


def test_without_a_label_the_mask_is_judged_wherever_it_knows() -> None:
    facts = dict(scene_facts(seen([False] * 4)))
    assert facts["cloud in the U-Net"] == "50.0 %"
    assert "no label" in facts["cloud in the label"]
