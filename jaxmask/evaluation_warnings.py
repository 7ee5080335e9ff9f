"""What whoever reads an evaluation must know of the masks that were judged."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from jaxmask.judged import JudgedProduct, MaskNotes
from jaxmask.probability import LogitLine, ProbabilityFit, chosen_fit

SEEN = {"train": "trained on", "validation": "chosen by its loss on"}
# What all masks of one evaluation should have in common.
COMMON: dict[str, Callable[[JudgedProduct], Hashable]] = {
    "model": lambda product: product.notes.model,
    "threshold": lambda product: product.notes.threshold,
    "quantity (network's output or probability)": lambda product: product.notes.quantity,
    "buffer": lambda product: product.notes.buffer,
}


def warnings_of(products: Sequence[JudgedProduct], *, truth_asked: bool = False) -> list[str]:
    """Why the figures may not say what they seem to: products that the model knew, masks that don't go together, and
    if truth was asked for, products without it."""
    lines = []
    without = [product for product in products if truth_asked and not product.with_truth]
    if without:
        lines.append(f"{len(without)} of {len(products)} products have no truth there, such as {without[0].product}")
    for seen, how in SEEN.items():
        found = [product for product in products if product.seen == seen]
        if found:
            lines.append(f"the model was {how} {len(found)} of these products, such as {found[0].product}")
    torn = [product for product in products if len(product.parts) > 1]
    if torn:
        said = f"{torn[0].product} ({torn[0].notes.part}, not {torn[0].part})"
        lines.append(f"{len(torn)} masks say that their product is of another part than --model says, such as {said}")
    for what, of in COMMON.items():
        if len({of(product) for product in products}) > 1:
            lines.append(f"these masks are of more than one {what}")
    return lines


def remarks_of(products: Sequence[JudgedProduct], left_out: int) -> list[str]:
    """What was not judged, and need not worry anybody."""
    lines = []
    unlabelled = sum(not product.labelled for product in products)
    if unlabelled:
        lines.append(f"{unlabelled} products without labels count no pixels")
    if left_out:
        lines.append(f"{left_out} masks are of another part or have no shard")
    return lines


def common_line(products: Sequence[JudgedProduct], fits: Sequence[ProbabilityFit]) -> LogitLine | None:
    """From the logit of what all masks store to that of P(cloud): their model's fit, else theory; None if not one."""
    lines = {_line(product.notes, fits) for product in products}
    return lines.pop() if len(lines) == 1 else None


def _line(notes: MaskNotes, fits: Sequence[ProbabilityFit]) -> LogitLine | None:
    fit = chosen_fit(fits, notes.model, notes.flips) if notes.quantity == "q" else None
    return fit or notes.line
