"""Test pairs of a fold as a table, which permutations and resamples of its images go through."""

from dataclasses import dataclass

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.pairs.predictions import PairPredictions


@dataclass(frozen=True)
class FoldTable:
    """The pairs of a fold as a table: a row per tested image, a column per image it is paired with.

    Attributes
    ----------
    rows, columns : int arrays
        Images; the same for pairs among some images, whose table is symmetric.
    present : bool array (n_rows, n_columns)
        False on the diagonal of a symmetric table.
    true, predicted : float64 arrays (n_rows, n_columns), zero where no pair is
    """

    rows: np.ndarray
    columns: np.ndarray
    present: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, test: PairPredictions) -> "FoldTable":
        left, right = np.unique(test.first), np.unique(test.second)
        apart = np.intersect1d(left, right).size == 0 and left.size * right.size > 1
        rows, columns = (right, left) if apart else (np.union1d(left, right),) * 2
        row, column = np.searchsorted(rows, test.second), np.searchsorted(columns, test.first)
        times = np.zeros((rows.size, columns.size), np.uint8)
        np.add.at(times, (row, column), 1)
        if not apart:
            np.add.at(times, (column, row), 1)
        expected = np.ones(times.shape, bool) if apart else ~np.eye(rows.size, dtype=bool)
        if not np.array_equal(times, expected):
            raise InputError(
                f"found {test.first.size} test pairs of {rows.size} and {columns.size} images, "
                "expected every pair of them once; test folds of pairs dealt out at random together"
            )
        tables = []
        for what, values in (("true", test.true), ("predicted", test.predicted)):
            if not np.isfinite(values).all():
                raise InputError(
                    f"found {np.count_nonzero(~np.isfinite(values))} of {values.size} {what} "
                    "dissimilarities that are no numbers, expected none; look at the model's "
                    "learning curve"
                )
            table = np.zeros(times.shape)
            table[row, column] = values
            if not apart:
                table[column, row] = values
            tables.append(table)
        return cls(rows, columns, expected, *tables)

    @property
    def symmetric(self) -> bool:
        return self.rows is self.columns

    @property
    def images(self) -> np.ndarray:
        return self.rows if self.symmetric else np.concatenate([self.rows, self.columns])

    @property
    def weight(self) -> float:
        """How often a pair counts once its two places in a symmetric table are summed."""
        return 0.5 if self.symmetric else 1.0

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return row and column of every pair, once."""
        return np.nonzero(np.triu(self.present) if self.symmetric else self.present)
