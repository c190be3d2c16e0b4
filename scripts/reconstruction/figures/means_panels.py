"""Panels of means with intervals: a line per model, a dot per subject, chance where it is known."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd

from workflow.lib.plotting import INK, MUTED, PALETTE
from workflow.lib.sources import JOINT_SUBJECT


def draw_means(
    axis: plt.Axes, table: pd.DataFrame, models: Sequence[str], key: str, colours: Sequence[str]
) -> None:
    """Draw the means of one measure, the first model at the top.

    Parameters
    ----------
    axis : plt.Axes
    table : DataFrame
        key, subject, value, low, high, chance; one row per model and subject.
    models : sequence of str
        Values of `key`, in order.
    key : str
        Column that names the models.
    colours : sequence of str
        One per model.
    """
    for line, (model, colour) in enumerate(zip(models, colours, strict=True)):
        own = table[table[key] == model]
        subjects = own[own["subject"] != JOINT_SUBJECT]
        joint = own[own["subject"] == JOINT_SUBJECT].iloc[0]
        axis.plot(subjects["value"], [line + 0.22] * len(subjects), ".", color=MUTED, ms=3.5)
        axis.plot([joint["low"], joint["high"]], [line, line], color=colour, lw=1.6)
        axis.plot(joint["value"], line, "o", color=colour, ms=5)
    chance = table["chance"].dropna().unique()
    for value in chance if len(chance) == 1 else ():
        axis.axvline(value, color=INK, ls=":", lw=0.9, zorder=0)
    if len(chance) > 1:
        joint = table[table["subject"] == JOINT_SUBJECT].set_index(key)["chance"]
        for line, model in enumerate(models):
            axis.plot([joint[model]] * 2, [line - 0.35, line + 0.35], color=INK, ls=":", lw=0.9)
    axis.set(ylim=(len(models) - 0.5, -0.5), yticks=range(len(models)))
    axis.grid(axis="x", color="0.9", lw=0.6)


def model_colours(models: Sequence[str], reference: str | None) -> list[str]:
    """Return a colour per model: that of the reference stands out from all others."""
    return [PALETTE[0] if model == reference else PALETTE[3] for model in models]
