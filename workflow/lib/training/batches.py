"""Which examples a step learns from."""

import numpy as np

from workflow.lib.seeds import generator


class BatchOrder:
    """All examples once an epoch, in an order that follows from the seed and the epoch alone.

    Parameters
    ----------
    n : int
        Examples.
    batch : int
        Of a step; all of them, where there are fewer.
    seed : int
    *purpose : str
        Orders of other purposes differ.
    """

    def __init__(self, n: int, batch: int, seed: int, *purpose: str) -> None:
        self.n, self.batch, self.seed, self.purpose = n, min(batch, n), seed, purpose
        self._epoch, self._order = -1, np.zeros(0, int)

    @property
    def n_batches(self) -> int:
        """Whole batches of an epoch; what is left over is another in every epoch."""
        return self.n // self.batch

    def rows(self, epoch: int, step: int) -> np.ndarray:
        """Return the numbers of the examples of a step, int (batch,)."""
        if self._epoch != epoch:
            rng = generator(self.seed, "batches", *self.purpose, str(epoch))
            self._epoch, self._order = epoch, rng.permutation(self.n)
        return self._order[step * self.batch : (step + 1) * self.batch]
