"""Edge: the epochs of a training: pass, pass, line of history, checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jaxmask.data import Feed
from jaxmask.history import Epoch
from jaxmask.loop import Pass, Watch, run_pass
from jaxmask.programs import Programs
from jaxmask.step import TrainState
from jaxmask.stopping import StoppedOnRequest
from preprocess.errors import UserError


@dataclass(frozen=True)
class Plan:
    """What every epoch of a training does."""

    epochs: int
    global_batch: int
    train: Feed
    test: Feed | None
    bar: bool


def run_epochs(
    plan: Plan, programs: Programs, state: TrainState, done: int, asked: Callable[[], bool]
) -> Iterator[tuple[TrainState, Epoch]]:
    """Yield the state and the line of history after each epoch that follows the first `done`.

    The yielded state belongs to the next epoch once that is asked for: copy or save it before.
    Raises UserError where a loss or a parameter is not finite, or where no pixel can be learnt from; StoppedOnRequest
    once any process is `asked`, between two steps or two epochs.
    """

    def watch(name: str, feed: Feed) -> Watch:
        return Watch(name, feed.patches, plan.global_batch, plan.bar, lambda: programs.vote(int(asked())))

    for epoch in range(done + 1, plan.epochs + 1):
        if bool(programs.vote(int(asked()))):  # a pass of one step never sees it
            raise StoppedOnRequest
        batches = plan.train.batches(epoch, 0)
        following = watch(f"epoch {epoch}/{plan.epochs}, training", plan.train)
        state, trained = run_pass(programs.train, state, batches, plan.train.place, following)
        _check_learnt(epoch, trained, programs, state)
        tested = None
        if plan.test is not None:
            batches = plan.test.batches(0, 0)
            following = watch(f"epoch {epoch}/{plan.epochs}, testing", plan.test)
            state, tested = run_pass(programs.test, state, batches, plan.test.place, following)
        yield state, epoch_line(epoch, trained, tested)


def epoch_line(epoch: int, trained: Pass, tested: Pass | None) -> Epoch:
    """Return the line of `history.jsonl`; patches_per_second counts what was trained on over the time of training."""
    return {
        "epoch": epoch,
        "train": trained.scores(),
        "test": tested.scores() if tested else None,
        "train_seconds": trained.seconds,
        "test_seconds": tested.seconds if tested else None,
        "train_patches": trained.patches,
        "test_patches": tested.patches if tested else 0,
        "patches_per_second": trained.patches / trained.seconds,
        "wait_share": trained.waited_seconds / trained.seconds,
    }


def epoch_message(line: Epoch, epochs: int) -> str:
    """Return the line that people read: epoch, scores, throughput, seconds."""
    parts = [_scores(name, line[name]) for name in ("train", "test") if line[name]]
    seconds = line["train_seconds"] + (line["test_seconds"] or 0.0)
    return (
        f"epoch {line['epoch']}/{epochs}: {', '.join(parts)}; {line['patches_per_second']:.1f} patches/s, "
        f"{seconds:.1f} s, waited {100 * line['wait_share']:.0f} %"
    )


def _check_learnt(epoch: int, trained: Pass, programs: Programs, state: TrainState) -> None:
    if trained.sums.weight == 0:
        raise UserError(
            "no pixel of the training patches is valid, labelled and further than --clip-offset from its patch's edge: "
            "check the shards, or choose a smaller --clip-offset"
        )
    if not bool(programs.finite(state)):
        raise UserError(
            f"epoch {epoch}: its last step made a parameter infinite or not a number. The epochs before are saved; "
            "lower --learning-rate and start anew by --overwrite"
        )


def _scores(name: str, scores: dict[str, float | None]) -> str:
    loss, accuracy = (f"{scores[key]:.4f}" if scores[key] is not None else "none" for key in ("loss", "accuracy"))
    return f"{name} loss {loss} accuracy {accuracy}"
