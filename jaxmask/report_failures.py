"""The failures of a run, those of one stage that failed alike together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jaxmask.run_record import StageFailure
from preprocess.names import item_name


@dataclass(frozen=True)
class FailureGroup:
    """Items that one stage left out for one reason, told of the first of them."""

    stage: str
    reason: str
    items: tuple[str, ...]


def group_failures(failures: Iterable[StageFailure]) -> tuple[FailureGroup, ...]:
    """In the order of each group's first failure; reasons are alike if they differ in nothing but the item's name."""
    groups: dict[tuple[str, str], list[StageFailure]] = {}
    for failure in failures:
        name = item_name(failure.item)
        alike = failure.reason.replace(failure.item, "").replace(name, "") if name else failure.reason
        groups.setdefault((failure.stage, alike), []).append(failure)
    return tuple(
        FailureGroup(stage, group[0].reason, tuple(failure.item for failure in group))
        for (stage, _), group in groups.items()
    )
