"""What figures of this study share: names, colours, notes of size, values far below the rest."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.dissimilarity.evaluation.score_tables import NAMING, chosen, fully_trained
from workflow.lib.methods import enumerated
from workflow.lib.pairs.splits import RANDOM_PAIRS
from workflow.lib.plotting import PAGE_WIDTH, PALETTE, use_style

# From the one that leaks most to the one that does not.
SPLITS = {
    "leaked": "leaked: both images seen",
    "one_seen": "one image seen",
    "clean": "clean: no image seen",
}
# Darker is cleaner, so that they differ in grey print too.
SPLIT_COLOURS = {"leaked": "#de8f05", "one_seen": "#56b4e9", "clean": "#0173b2"}
SPLIT_MARKERS = {"leaked": "^", "one_seen": "s", "clean": "o"}
CEILING_COLOUR = "#d55e00"
METRICS = {"correlation": "1 - Pearson $r$", "euclidean": "Euclidean distance"}
MEASURES = {
    "r2": "$R^2$",
    "spearman": r"Spearman $\rho$",
    "pearson": "Pearson $r$",
    "row_pearson": "Pearson $r$ within an image's row",
}
# As captions, which are plain text, write them.
PLAIN = {
    "r2": "R²",
    "spearman": "Spearman's rho",
    "pearson": "Pearson's r",
    "row_pearson": "mean Pearson's r within an image's row",
}
# Over what each is taken; correlations of pairs dealt out at random are not taken within folds.
HOW = {
    "r2": "over the test pairs of all folds at once",
    "spearman": "mean over folds",
    "pearson": "mean over folds",
    "row_pearson": "mean over images",
}
POOLED = "over all pairs"
MARKERS = "osD^vPX<>*"
# R² has no lower bound, and one network that ran away would flatten all others.
FLOOR = -0.5
NOT_APPLICABLE = "not applicable"
# Of a model that is not applicable, or that the config fits to other ROIs or metrics alone.
NOT_FITTED = "not fitted"


def in_order(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the labels found, those of a known order first."""
    found = list(dict.fromkeys(found))
    return [label for label in known if label in found] + [
        label for label in found if label not in set(known)
    ]


def called(fit: Mapping[str, str]) -> str:
    """Return how figures call a fit: model, embedding and variant, those that there are."""
    return ", ".join(fit[name] for name in NAMING if fit[name])


def names_of(table: pd.DataFrame) -> pd.Series:
    """Return how figures call the fit of every row."""
    labels = table[list(NAMING)].itertuples(index=False)
    return pd.Series([called(row._asdict()) for row in labels], index=table.index, dtype=str)


def looks(labels: Sequence[str]) -> dict[str, dict]:
    """Return colour and marker of each label, so that no two differ by colour alone."""
    return {
        label: {"color": colour, "marker": marker}
        for label, colour, marker in zip(labels, cycle(PALETTE), cycle(MARKERS), strict=False)
    }


def span(values: Iterable[float]) -> str:
    """Return a number that all share, or the range of them: "150", "132 to 150"."""
    known = [int(value) for value in values if not np.isnan(value)]
    if not known:
        return "none"
    low, high = min(known), max(known)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def measured(measure: str, rows: pd.DataFrame) -> str:
    """Return a measure and over what it is taken, in the splits of some rows."""
    how, splits = HOW[measure], set(rows["split"])
    at_random = RANDOM_PAIRS in set(rows.get("deal", ()))
    if how == HOW["spearman"] and "leaked" in splits and at_random:
        how = POOLED if splits == {"leaked"} else f"{how}; of the leaked split {POOLED}"
    return f"{PLAIN[measure]} ({how})"


def subjects_note(table: pd.DataFrame) -> str:
    """Return the number of subjects, or the name of the only one."""
    subjects = list(dict.fromkeys(table["subject"]))
    if len(subjects) == 1:
        return f"{subjects[0]}, a single case"
    return f"n = {len(subjects)} subjects"


def subject_counts(rows: pd.DataFrame) -> pd.Series:
    """Return of how many subjects each fit has a score, by its names."""
    known = rows[rows["value"].notna()]
    counts = known.groupby(list(NAMING), sort=False)["subject"].nunique()
    return counts if len(counts) else pd.Series([0])


def with_count(name: str, rows: pd.DataFrame, most: int) -> str:
    """Return the name of a fit, with its number of subjects where others have more.

    >>> table = pd.DataFrame({"subject": ["a"], "value": [0.1]} | {name: [""] for name in NAMING})
    >>> with_count("ridge", table, 3)
    'ridge (n = 1)'
    """
    n = subject_counts(rows).max()
    return name if n in (0, most) else f"{name} (n = {n})"


def size_note(table: pd.DataFrame) -> str:
    """Return how many subjects, images and test pairs stand behind scores."""
    each = " each" if table["subject"].nunique() > 1 else ""
    return (
        f"{subjects_note(table)}; n = {span(table['n_images'])} images and "
        f"{span(table['n_pairs'])} test pairs{each}"
    )


def training_note(table: pd.DataFrame) -> str:
    """Return from how many pairs fits learned, by split where these differ; with a space before.

    >>> training_note(pd.DataFrame({"split": ["clean", "leaked"], "n_training_pairs": [10, 12]}))
    ' Fits learned from 10 (clean) and 12 (leaked) pairs in the fold with the fewest.'
    """
    known = table.dropna(subset="n_training_pairs")
    splits: dict[str, list[str]] = {}
    for split, of_split in known.groupby("split", sort=False):
        splits.setdefault(span(of_split["n_training_pairs"]), []).append(split.replace("_", " "))
    if not splits:
        return ""
    several = len(splits) > 1
    said = [f"{n} ({', '.join(names)})" if several else n for n, names in splits.items()]
    return f" Fits learned from {enumerated(said)} pairs in the fold with the fewest."


def spread_note(table: pd.DataFrame) -> str:
    """Return what shows the spread of scores: subjects, or of one the interval over images."""
    if table["subject"].nunique() > 1:
        return "Small marks: subjects; lines: their means."
    return (
        "Vertical lines: 95 % intervals over images (resampled with all their pairs), of this "
        "subject alone."
    )


def drawn_values(rows: pd.DataFrame) -> np.ndarray:
    """Return the values that a panel of scores has to hold: those of one subject with intervals."""
    columns = ["value"] if rows["subject"].nunique() > 1 else ["value", "low", "high"]
    return rows[columns].to_numpy(dtype=float).ravel()


def draw_off_scale(axis: plt.Axes, x: Sequence[float], values: Sequence[float], colour) -> None:
    """Mark values below `FLOOR` by a white triangle that points down, over their own mark."""
    below = np.asarray(values, dtype=float) < FLOOR
    x = np.asarray(x, dtype=float)[below]
    axis.plot(x, np.full(x.size, FLOOR), "v", ms=6, mfc="white", mec=colour, zorder=5)


def set_floor(axis: plt.Axes, values: Iterable[float], *, top: float | None = None) -> None:
    """Let the axis of scores begin at `FLOOR` at the lowest, and hold zero."""
    known = np.asarray([value for value in values if np.isfinite(value)] or [0.0])
    low = max(FLOOR, min(0.0, known.min()))
    high = max(known.max(), top or 0.0, 0.05)
    axis.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def floored(values: Iterable[float]) -> np.ndarray:
    """Return values to draw: those below `FLOOR` at it."""
    return np.maximum(np.asarray(values, dtype=float), FLOOR)


def floor_note(values: Iterable[float]) -> str:
    """Return how many values are drawn higher than they are, with the lowest; or nothing."""
    values = np.asarray(values, dtype=float)
    below = values[values < FLOOR]
    if not below.size:
        return ""
    return (
        f" {below.size} value{'s' if below.size > 1 else ''} below {FLOOR:g} (lowest "
        f"{below.min():.3g}) drawn at {FLOOR:g}, means as triangles."
    )


def say_not_applicable(axis: plt.Axes, reason: str = "") -> None:
    """Write into an empty panel why there is nothing, without axes of nothing."""
    axis.set_axis_off()
    text = NOT_APPLICABLE + (f":\n{reason}" if reason else "")
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color="0.4")


def split_panels(
    metrics: Sequence[str], splits: Sequence[str], measure: str
) -> tuple[plt.Figure, np.ndarray]:
    """Return a figure and its panels (n_metrics, n_splits), one of each at least, labelled."""
    use_style()
    n_rows, n_columns = max(1, len(metrics)), max(1, len(splits))
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(PAGE_WIDTH, 1.9 * n_rows + 0.9),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, split in zip(axes[0], splits, strict=False):
        axis.set_title(SPLITS.get(split, split))
    for row, metric in zip(axes, metrics, strict=False):
        row[0].set_ylabel(f"{MEASURES[measure]}\n{METRICS.get(metric, metric)}")
    return figure, axes


def best_fit(
    scores: pd.DataFrame, *, measure: str = "spearman", model: str | None = None
) -> tuple[pd.Series, int] | None:
    """Return the row of the best fit, and among how many it is; None if none was applicable.

    Parameters
    ----------
    scores : DataFrame, rows of scores of one ROI, metric and split
    measure : what the best has the most of, in the mean over rows; of fits with as many as any
    model : name of a model whose fits alone are considered
    """
    rows = fully_trained(chosen(scores, measure=measure))
    if model is not None:
        rows = chosen(rows, model=model)
    fits = rows.dropna(subset="value").groupby(list(NAMING), sort=False)
    # A fit of one subject or ROI is no rival to those of all.
    n_places = fits.size()
    means = fits["value"].mean()[n_places == n_places.max()]
    if means.empty:
        return None
    return pd.Series(dict(zip(NAMING, means.idxmax(), strict=True))), len(means)


def best_note(n_fits: int, *, split: str, measure: str = "spearman") -> str:
    """Return how a fit was chosen that is shown."""
    if n_fits == 1:
        return ""
    return (
        f"It is the fit with the highest {PLAIN[measure]} of {n_fits} on these {split} test pairs, "
        "so that its scores are optimistic."
    )
