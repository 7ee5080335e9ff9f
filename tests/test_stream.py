"""Scenes through the devices: batches, threads before and behind, and what becomes of each whatever goes wrong."""

from __future__ import annotations

import errno
import gc
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmask.batches import batches
from jaxmask.predictor import Predictor
from jaxmask.scene_input import SceneInput, scene_input
from jaxmask.stream import stream
from jaxmask.threads import WriteBehind, map_threads
from preprocess.outcome import Outcome
from tests.shards import make_scene, product_name

WAIT_S = 20.0


@pytest.mark.quick
def test_batches_are_of_one_shape_and_few_items_wait() -> None:
    rng = np.random.default_rng(0)
    items = [(number, "abcde"[kind]) for number, kind in enumerate(rng.integers(0, 5, 200))]
    taken = 0

    def counted() -> Iterator[tuple[int, str]]:
        nonlocal taken
        for item in items:
            taken += 1
            yield item

    given: list[tuple[int, str]] = []
    for batch in batches(counted(), lambda item: item[1], 3):
        assert len({kind for _, kind in batch}) == 1
        assert 1 <= len(batch) <= 3
        given += batch
        assert taken - len(given) <= 6
    assert sorted(given) == items
    assert list(batches(iter("xyxyx"), str, 2)) == [["x", "x"], ["y", "y"], ["x"]]
    assert list(batches(iter("xyz"), str, 1)) == [["x"], ["y"], ["z"]]


def test_threads_work_ahead_by_a_bounded_number_in_order() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("odd")
        return 10 * number

    outcomes = map_threads(work, range(50), 2)
    for number in range(10):
        outcome = next(outcomes)
        assert (outcome.item, outcome.value) == (number, None if number == 3 else 10 * number)
        assert outcome.error == ("ValueError: odd" if number == 3 else None)
        assert len(begun) <= number + 1 + 3
    outcomes.close()  # type: ignore[attr-defined]
    assert len(begun) <= 13
    assert threading.active_count() == 1 or not any("read ahead" in each.name for each in threading.enumerate())


class Load:
    """Something that can be seen to be let go."""


def test_what_is_written_is_let_go_and_the_rest_is_dropped_by_an_exception() -> None:
    done: list[str] = []
    loads = [Load() for _ in range(3)]
    gone = [weakref.ref(load) for load in loads]
    with WriteBehind[str, Load](lambda load: done.append("x"), 2) as writer:
        for number in range(3):
            writer.give(str(number), loads.pop(0))
    gc.collect()
    assert len(done) == 3
    assert [outcome.item for outcome in writer.outcomes] == ["0", "1", "2"]
    assert not any(reference() for reference in gone)

    working, free = threading.Event(), threading.Event()

    def slow(number: int) -> None:
        working.set()
        assert free.wait(WAIT_S)
        done.append(str(number))

    def interrupted() -> None:
        with WriteBehind[int, int](slow, 2) as writer:
            for number in range(3):
                writer.give(number, number)
            assert working.wait(WAIT_S)
            threading.Timer(0.05, free.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done[3:] == ["0"], "what is in work is finished, what waits is not begun"


def scene(number: int, height: int = 16, width: int = 24) -> SceneInput:
    return scene_input(make_scene(product_name(number), height, width, seed=number))


def total(scenes: Any, images: np.ndarray) -> np.ndarray:
    """A network whose logit is the sum of the channels."""
    return images.sum(axis=-1)


def streamed(
    scenes: list[SceneInput | str], batch: int = 2, start: Callable[..., Any] = total, write: Callable[..., Any] = id
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """What is written by product, and what failed by path; a text instead of a scene is why it can't be read."""
    written: dict[str, np.ndarray] = {}

    def keep(scene: SceneInput, logits: np.ndarray) -> None:
        write(scene)
        written[scene.info.product] = logits

    paths = [Path(f"{number}") for number in range(len(scenes))]
    outcomes = [
        Outcome(path, error=found) if isinstance(found, str) else Outcome(path, value=found)
        for path, found in zip(paths, scenes, strict=True)
    ]
    tally = stream(paths, iter(outcomes), Predictor(start, batch), keep)
    return written, {failure.item: failure.error for failure in tally.failures}


def test_a_signal_at_the_end_waits_for_what_is_in_work_and_drops_the_rest() -> None:
    """Python 3.11 forgets a thread whose join is interrupted, and the process would end in the midst of its file."""
    begun, done = threading.Event(), []

    class SignalledError(Exception):
        pass

    def work(number: int) -> None:
        begun.set()
        time.sleep(0.3)
        done.append(number)

    def interrupt(number: int, frame: object) -> None:
        raise SignalledError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(SignalledError), WriteBehind[str, int](work, 2) as writer:  # noqa: PT012
            writer.give("a", 1)
            writer.give("b", 2)
            begun.wait()
            signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert done == [1]
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.quick
@pytest.mark.parametrize("batch", [1, 2, 8])
def test_every_scene_gets_its_own_logits_whatever_the_batch(batch: int) -> None:
    scenes = [scene(n, 17 if n % 3 else 16, 20 if n % 2 else 24) for n in range(9)]
    shapes: set[tuple[int, ...]] = set()

    def start(given: Any, images: np.ndarray) -> np.ndarray:
        shapes.add(images.shape)
        return total(given, images)

    written, failures = streamed([*scenes], batch, start)
    assert failures == {}
    assert shapes == {(batch, 16, 24, 9), (batch, 24, 24, 9)}, "incomplete batches too: one compilation a shape"
    for each in scenes:
        rows, columns = each.size
        np.testing.assert_array_equal(written[each.info.product], each.image[:rows, :columns].sum(axis=-1))


def test_what_fails_is_named_and_the_rest_go_on() -> None:
    def start(given: Any, images: np.ndarray) -> Any:
        if images.shape[1] == 24:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        if images.shape[1] == 32:
            raise MemoryError
        return total(given, images)

    def write(found: SceneInput) -> None:
        if found.info.product == product_name(4):
            raise PermissionError(errno.EACCES, "Permission denied", "NAME.h5")

    written, failures = streamed(
        ["not HDF5", scene(1), scene(2, 24), scene(3), scene(4), scene(1), scene(6), scene(7, 32)], 1, start, write
    )
    assert sorted(written) == [product_name(n) for n in (1, 3, 6)]
    assert sorted(failures) == ["0", "2", "4", "5", "7"]
    assert failures["7"].endswith("lower --batch-size, or cut scenes by --max-pixels")
    assert failures["0"] == "not HDF5"
    assert failures["2"].endswith("Out of memory; lower --batch-size, or cut scenes by --max-pixels")
    assert failures["4"] == "NAME.h5: Permission denied; mend this and run again"
    assert failures["5"] == "5 is the same product as 1, whose mask is written"


def test_what_fails_while_it_is_computed_is_named_too() -> None:
    """As a jax array that says so only when it is waited for."""

    class Late:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            raise RuntimeError("device lost")

    written, failures = streamed(
        [scene(0), scene(1), scene(2, 24)], 2, lambda g, i: Late() if i.shape[1] < 24 else i[..., 0]
    )
    assert list(written) == [product_name(2)]
    assert failures == {"0": "RuntimeError: device lost", "1": "RuntimeError: device lost"}


def test_after_a_full_disk_nothing_more_is_begun() -> None:
    computed: list[str] = []

    def start(given: Any, images: np.ndarray) -> Any:
        computed.extend(each.info.product for each in given)
        return total(given, images)

    def write(found: SceneInput) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "NAME.h5")

    written, failures = streamed([scene(n) for n in range(20)], 1, start, write)
    full = "NAME.h5: No space left on device; mend this and run again"
    assert written == {}
    assert failures["0"] == full
    assert {failures[str(n)] for n in range(1, 20)} == {f"not begun after this: {full}"}
    assert len(computed) < 10
