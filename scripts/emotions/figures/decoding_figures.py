"""What the figures of decoding share: names of measures and splits, colours of models, notes."""

from collections.abc import Sequence

import pandas as pd

from scripts.emotions.decoding.splits import RANDOM, RANDOM_MATCHED, SPLITS
from workflow.lib.plotting import PALETTE

AUC = "auc"
MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    AUC: "AUC within runs",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "h")


def splits_of(table: pd.DataFrame) -> list[str]:
    """Return the splits of a table, from the most leaked to the cleanest."""
    return [split for split in SPLITS if (table["split"] == split).any()]


def models_of(table: pd.DataFrame) -> list[str]:
    """Return the models of a table, in its order."""
    return list(dict.fromkeys(table["model"]))


def model_styles(models: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return colour and marker of each model."""
    return {
        model: {"color": PALETTE[k % len(PALETTE)], "marker": MARKERS[k % len(MARKERS)]}
        for k, model in enumerate(models)
    }


def model_label(model: str) -> str:
    """Return how a model is called in figures."""
    return model.replace("_", " ")


def extremes(table: pd.DataFrame) -> list[str]:
    """Return the most leaked and the cleanest split of a table, or the only one."""
    splits = splits_of(table)
    return list(dict.fromkeys([splits[0], splits[-1]]))


def cleanest(splits: Sequence[str]) -> str:
    """Return the last of the splits in the order from leaked to clean."""
    return [split for split in SPLITS if split in splits][-1]


def leaked(splits: Sequence[str]) -> str:
    """Return the random split to hold a clean one to: with as many volumes, where there is it."""
    return RANDOM_MATCHED if RANDOM_MATCHED in splits else RANDOM


def size_note(table: pd.DataFrame) -> str:
    """Return what was tested in a table of decoding."""
    row = table.iloc[0]
    return (
        f"n = {row['n_volumes']:,} volumes: {row['n_times']:,} labelled moments of "
        f"{row['n_episodes']:,} episodes in {row['n_runs']:,} runs, in each of "
        f"{row['n_subjects']:,} subjects"
    )


def number(value: float, low: float, high: float) -> str:
    """Return a score with its interval."""
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
