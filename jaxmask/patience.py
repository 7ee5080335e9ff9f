"""When a training has learnt enough: epochs in a row without a lower validation loss (early stopping)."""

from __future__ import annotations

from typing import NamedTuple


class Patience(NamedTuple):
    """The lowest validation loss so far, and the epochs since that have not been lower."""

    lowest: float | None = None
    epochs_since: int = 0

    def after(self, loss: float | None) -> Patience:
        """Return the patience after one more epoch of validation `loss`; an epoch without a loss is none lower."""
        if loss is not None and (self.lowest is None or loss < self.lowest):
            return Patience(loss, 0)
        return Patience(self.lowest, self.epochs_since + 1)

    def is_over(self, epochs: int | None) -> bool:
        """Whether `epochs` (--early-stopping; None: never) have passed without a lower loss."""
        return epochs is not None and self.epochs_since >= epochs


NEW = Patience()
