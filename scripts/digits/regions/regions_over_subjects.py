"""What subjects say together of layers in the regions of codes: means, intervals and tests."""

import numpy as np
import pandas as pd

from scripts.digits.regions.choices import ALL_PAIRS, CIRCULAR, HELD_OUT_RUNS, clean_choice
from workflow.lib.inference.sign_flip import MIN_SUBJECTS, sign_flip_test
from workflow.lib.inference.variance import interval
from workflow.lib.searchlight.statistics import DESCRIPTIVE, INFERENTIAL, SINGLE_CASE

CELL = ["code", "chosen_in", "pairs", "model", "layer"]


def region_group_table(
    table: pd.DataFrame, *, zero_is_null: bool, rng: np.random.Generator
) -> pd.DataFrame:
    """Return what the subjects say together about every layer and region.

    Parameters
    ----------
    table : DataFrame
        Rows of `scripts.digits.regions.layers_in_regions.region_table`, with the column subject.
    zero_is_null : whether unrelated RDMs have a similarity of zero on average
    rng : numpy Generator

    Returns
    -------
    DataFrame, a row per cell
        similarity and of_positive, means over subjects; low and high, the 95 % interval (Student's
        t over subjects; of a single one, over the categories in the pairs); p and p_max of the
        sign-flip test, p_max over all codes and layers, for regions chosen in other runs and six
        subjects at least; inflation, the circular less the other similarity, with its interval;
        code_found, whether the code itself is above zero in the region chosen for it elsewhere,
        without which there is no region of the code, whatever its voxels resemble.

    Notes
    -----
    Of n subjects any two regions that were chosen in the others share n - 2 choosers, and each
    subject is tested in one region and chooses the rest: their values are not independent, there
    is no test of them, and their intervals are too narrow.
    """
    subjects = list(dict.fromkeys(table["subject"]))
    cells = table.groupby(CELL, sort=False)[["of_positive", "se", "n_categories"]].mean()
    wide = table.pivot(index=CELL, columns="subject", values="similarity")
    wide = wide.loc[cells.index, subjects].dropna()
    cells, values = cells.loc[wide.index], wide.to_numpy()
    limits = _interval(values, cells["se"].to_numpy(), cells["n_categories"].to_numpy())
    # No similarity lies outside, whatever Student's t says of nine pairs.
    low, high = np.clip(limits, -1, 1)
    group = wide.index.to_frame(index=False).assign(
        similarity=values.mean(axis=1),
        low=low,
        high=high,
        of_positive=cells["of_positive"].to_numpy(),
        n_subjects=len(subjects),
        status=status_of(len(subjects)),
    )
    tested = _tested(group, values, zero_is_null, rng)
    return group.assign(**tested, **_inflation(group, values), code_found=_code_found(group))


def status_of(n_subjects: int) -> str:
    """Return what so many subjects carry: a claim about others, a description, or a case."""
    if n_subjects == 1:
        return SINGLE_CASE
    return INFERENTIAL if n_subjects >= MIN_SUBJECTS else DESCRIPTIVE


def _code_found(group: pd.DataFrame) -> pd.Series:
    """Return whether the code of each row is found in its region, see `region_group_table`."""
    itself = (group["layer"] == group["code"]) & (group["pairs"] == ALL_PAIRS)
    elsewhere = group["chosen_in"] == clean_choice(group["chosen_in"])
    return group["code"].isin(group.loc[itself & elsewhere & (group["low"] > 0), "code"])


def _interval(
    values: np.ndarray, errors: np.ndarray, n_categories: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval over subjects, (n_cells,) each; over categories for a single one."""
    n_subjects = values.shape[1]
    if n_subjects > 1:
        variance = values.var(axis=1, ddof=1) / n_subjects
        return interval(values.mean(axis=1), variance, n_subjects - 1)
    cells = zip(values[:, 0], errors, n_categories, strict=True)
    low, high = zip(*(interval(value, se**2, int(n) - 1) for value, se, n in cells), strict=True)
    return np.array(low), np.array(high)


def _tested(
    group: pd.DataFrame, values: np.ndarray, zero_is_null: bool, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return p and p_max of every cell whose region was chosen in other runs, else NaN."""
    found = {name: np.full(len(group), np.nan) for name in ("p", "p_max")}
    if not zero_is_null:
        return found
    for (chosen_in, _), rows in group.groupby(["chosen_in", "pairs"], sort=False).indices.items():
        if chosen_in == HELD_OUT_RUNS:
            flips = sign_flip_test(values[rows].T, rng=rng)
            found["p"][rows], found["p_max"][rows] = flips.p, flips.p_max
    return found


def _inflation(group: pd.DataFrame, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return how far circular cells lie above those that are not, NaN for the latter."""
    names = ("inflation", "inflation_low", "inflation_high")
    found = {name: np.full(len(group), np.nan) for name in names}
    clean = clean_choice(group["chosen_in"])
    if clean is None:
        return found
    rest = [name for name in CELL if name != "chosen_in"]
    row_of = {
        (row.chosen_in, *(getattr(row, name) for name in rest)): row.Index
        for row in group.itertuples()
    }
    rows = np.array([row for (chosen_in, *_), row in row_of.items() if chosen_in == CIRCULAR])
    others = [row_of[clean, *group.loc[row, rest]] for row in rows]
    differences = values[rows] - values[others]
    found["inflation"][rows] = differences.mean(axis=1)
    if values.shape[1] > 1:
        unused = np.full(len(rows), np.nan)
        limits = _interval(differences, unused, unused)
        found["inflation_low"][rows], found["inflation_high"][rows] = limits
    return found
