"""Show the pairs of images with the most and the least alike responses."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.dissimilarity.data.pair_images import read_pair_images
from scripts.dissimilarity.figures.pair_figures import subjects_note
from scripts.dissimilarity.figures.plot_fmri_rdms import metric_label
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, titled, use_style, write_figure
from workflow.lib.tables import read_table

# ROIs of the publication; where there are none of them, the first two are shown.
ROIS = ("V1", "all")
# Rows for more subjects than this do not fit on a page; the table has all.
MAX_SUBJECTS = 4
# White between the two images of a pair, as a share of their width.
GAP = 0.06
# ROI -> metric -> which extreme -> its published value.
Extremes = Mapping[str, Mapping[str, Mapping[str, float]]]


def shown_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `extreme_pairs.csv` that are shown."""
    found = list(dict.fromkeys(table["roi"]))
    rois = [roi for roi in ROIS if roi in found] or found[: len(ROIS)]
    subjects = list(dict.fromkeys(table["subject"]))[:MAX_SUBJECTS]
    return table[table["roi"].isin(rois) & table["subject"].isin(subjects)]


def pictures(table: pd.DataFrame, files: Mapping[str, Path]) -> list[np.ndarray]:
    """Return the two images of each row side by side, uint8 (side, 2 sides and a gap, 3).

    Parameters
    ----------
    table : rows of `extreme_pairs.csv`
    files : subject -> its images, see `scripts.dissimilarity.data.pair_images`
    """
    found: dict[int, np.ndarray] = {}
    for subject, rows in table.groupby("subject", sort=False):
        # One subject's images are held at a time: those of all eight are 4 GB.
        images = read_pair_images(files[subject])
        place = {name: i for i, name in enumerate(images.names)}
        for row in rows.itertuples():
            pair = [images.images[place[name]] for name in (row.first, row.second)]
            found[row.Index] = _side_by_side(*pair)
    return [found[index] for index in table.index]


def _side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    gap = np.full((len(first), max(1, round(GAP * len(first))), 3), 255, np.uint8)
    return np.concatenate([first, gap, second], axis=1)


def plot_extreme_pairs(
    table: pd.DataFrame,
    pairs: Sequence[np.ndarray],
    *,
    n_subjects: int,
    title: str,
    simulated: bool,
    published: Extremes | None = None,
) -> tuple[plt.Figure, str]:
    """Draw a row of pairs per subject and ROI, and return the figure and its caption.

    Parameters
    ----------
    table : rows of `extreme_pairs.csv` that are shown
    pairs : pictures of each row, see `pictures`
    n_subjects : number of subjects in the whole table
    title : name of the study
    simulated : whether the data is simulated
    published : published extremes of the same data
    """
    rows = list(dict.fromkeys(zip(table["subject"], table["roi"], strict=True)))
    columns = list(dict.fromkeys(zip(table["metric"], table["which"], strict=True)))
    use_style()
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(PAGE_WIDTH * len(columns) / 5 + 0.3, 0.86 * len(rows) + 0.75),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for row, picture in zip(table.itertuples(), pairs, strict=True):
        place = rows.index((row.subject, row.roi)), columns.index((row.metric, row.which))
        axes[place].imshow(picture)
        axes[place].set_title(f"{row.value:#.4g}", fontsize=7, pad=2)
    for axis, (metric, which) in zip(axes[0], columns, strict=True):
        heading = f"{metric_label(metric)}\n{which}"
        axis.annotate(
            *(heading, (0.5, 1.24)), xycoords="axes fraction", ha="center", va="bottom", fontsize=8
        )
    for axis, (subject, roi) in zip(axes[:, 0], rows, strict=True):
        axis.annotate(
            *(f"{subject}\n{roi}", (-0.06, 0.5)),
            **{"xycoords": "axes fraction", "ha": "right", "va": "center", "fontsize": 7.5},
        )
    figure.suptitle(f"{titled(title, simulated=simulated)}: extreme pairs of images")
    note = published_note(table, published or {})
    return figure, f"{_caption(table, n_subjects)} {note}".strip()


def _caption(table: pd.DataFrame, n_subjects: int) -> str:
    rois = ", ".join(dict.fromkeys(table["roi"]))
    near = ", and, for 1 - Pearson's r, that closest to 1 (responses that are not correlated)"
    n_images, n_shown = table["n_images"].max(), table["subject"].nunique()
    part = f" of {n_subjects}, the others are in the table" if n_shown < n_subjects else ""
    return (
        f"Pairs of images with the smallest and the largest dissimilarity of responses in {rois}"
        f"{near if 'closest to 1' in set(table['which']) else ''}; the number above a pair is its "
        f"dissimilarity. {subjects_note(table)}{part}; up to {n_images:,} images each. These are "
        "extremes of many pairs in single measurements, and owed to noise for a part."
    )


def published_note(table: pd.DataFrame, published: Extremes) -> str:
    """Return the published extremes beside ours, nothing where there are none."""
    parts = []
    for roi, metrics in published.items():
        for metric, values in metrics.items():
            own = table[(table["roi"] == roi) & (table["metric"] == metric)]
            ours = own.groupby("which")["value"].agg(["min", "max"])
            parts += [
                f"{roi}, {metric}, {which} {value:.3f} ({_range(*ours.loc[which])})"
                for which, value in values.items()
                if which in ours.index
            ]
    return f"Published (here in brackets): {'; '.join(parts)}." if parts else ""


def _range(low: float, high: float) -> str:
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        found = read_table(snakemake.input.table)
        table = shown_pairs(found)
        files = dict(zip(params.subjects, map(Path, snakemake.input.images), strict=True))
        figure, caption = plot_extreme_pairs(
            table,
            pictures(table, files),
            n_subjects=found["subject"].nunique(),
            title=params.title,
            simulated=params.simulated,
            published=params.published,
        )
        write_figure(snakemake, figure, caption)
