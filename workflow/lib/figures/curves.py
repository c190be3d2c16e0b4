"""Learning curves: a line per part of the data, over epochs."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from workflow.lib.plotting import MUTED, PALETTE
from workflow.lib.training.history import KEPT, TRAINING, VALIDATION

BEST_COLOUR = PALETTE[3]
STYLES = {
    TRAINING: {"color": MUTED, "ls": "--"},
    VALIDATION: {"color": PALETTE[0], "ls": "-"},
}
# Of other parts, in their order.
OTHERS = tuple(
    {"color": PALETTE[i + 1], "ls": ls} for i, ls in enumerate(("-.", ":", (0, (5, 1, 1, 1, 1, 1))))
)


def part_styles(parts: list[str]) -> dict[str, dict]:
    """Return how the line of each part looks: by dash as well as by colour."""
    others = [part for part in parts if part not in STYLES]
    return STYLES | {part: OTHERS[i % len(OTHERS)] for i, part in enumerate(others)}


def draw_curves(
    axes: plt.Axes,
    rows: pd.DataFrame,
    styles: Mapping[str, Mapping],
    marked: pd.DataFrame | None = None,
    marks: str = "",
) -> None:
    """Draw a measure over epochs: thin lines for folds, where there are several, and their mean.

    Parameters
    ----------
    axes : Axes
    rows : DataFrame of one measure
        epoch, part, value, and fold where there are folds. Means of late epochs are over the folds
        that have not stopped.
    styles : mapping, part -> look of its lines
    marked : DataFrame, optional
        epoch and value of what is circled.
    marks : what the legend calls it
    """
    folds = "fold" in rows and rows["fold"].nunique() > 1
    for part, of_part in rows.groupby("part", sort=False):
        if folds:
            for _, run in of_part.groupby("fold"):
                axes.plot(run["epoch"], run["value"], lw=0.6, alpha=0.4, **styles[part])
        mean = of_part.groupby("epoch")["value"].mean()
        label = f"{part}, mean of folds" if folds else part
        axes.plot(mean.index, mean, lw=1.8, label=label, **styles[part])
    if marked is not None and len(marked):
        look = {"ls": "", "marker": "o", "ms": 3.6, "mfc": "white", "mec": BEST_COLOUR}
        axes.plot(marked["epoch"], marked["value"], label=marks, **look)


def kept_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of validation data at the epochs whose weights are kept, if that is said."""
    if KEPT not in history:
        return history[:0]
    return history[(history[KEPT] == 1) & (history["part"] == VALIDATION)]
