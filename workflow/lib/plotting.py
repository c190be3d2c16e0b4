"""One look for all figures, and captions that travel with them."""

import textwrap
from collections.abc import Sequence
from itertools import cycle

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.files import written_whole
from workflow.lib.sources import JOINT_SUBJECT

# Widths of a journal page in inches: one column, and the whole page.
COLUMN_WIDTH, PAGE_WIDTH = 3.5, 7.2
# Sequential and perceptually uniform: read alike in grey and by colour-blind readers.
SEQUENTIAL = "viridis"
# Differences, white at zero; read by colour-blind readers.
DIVERGING = "RdBu_r"
MUTED = "0.55"
# Can be told apart by colour-blind readers: seaborn's palette of that name. It stands here, and the
# style below, since the import of seaborn takes longer than to draw most figures.
PALETTE = (
    "#0173b2",
    "#de8f05",
    "#029e73",
    "#d55e00",
    "#cc78bc",
    "#ca9161",
    "#fbafe4",
    "#949494",
    "#ece133",
    "#56b4e9",
)
INK = "0.15"

# What axes call each of workflow.lib.rsa.comparators.COMPARATORS, which figures need not import: it
# compiles code.
SIMILARITY_LABELS = {
    "pearson": "Pearson $r$",
    "cosine": "cosine similarity",
    "spearman": r"Spearman $\rho$",
    "rho-a": r"Spearman $\rho_a$",
    "tau-a": r"Kendall $\tau_a$",
    "tau-b": r"Kendall $\tau_b$",
    "cosine_cov": "whitened cosine similarity",
    "corr_cov": "whitened Pearson $r$",
}


def use_style() -> None:
    """Set the fonts, lines and colours of all figures."""
    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 220,
            "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "sans-serif"],
            "font.size": 8,
            "axes.titlesize": 8.5,
            "axes.labelsize": 8,
            "xtick.labelsize": 7.5,
            "ytick.labelsize": 7.5,
            "legend.fontsize": 7.5,
            "legend.title_fontsize": 8,
            "figure.titlesize": 9.5,
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.linewidth": 1.0,
            "xtick.major.width": 1.0,
            "ytick.major.width": 1.0,
            "xtick.major.size": 4.8,
            "ytick.major.size": 4.8,
            "lines.linewidth": 1.2,
            "lines.markersize": 4.8,
            "lines.solid_capstyle": "round",
            "patch.linewidth": 0.8,
            "patch.edgecolor": "white",
            "patch.force_edgecolor": True,
            "axes.prop_cycle": mpl.cycler(color=PALETTE),
            "image.cmap": SEQUENTIAL,
            "svg.fonttype": "none",
            # Without a fixed salt two equal figures differ in the ids of their parts.
            "svg.hashsalt": "figure",
        }
    )


def write_figure(snakemake, figure: plt.Figure, caption: str) -> None:
    """Write a job's figure to its outputs `png` and `svg`, and the caption to `text`.

    The caption of simulated data (`params.simulated`) says so.
    """
    if snakemake.params.simulated:
        caption = f"{caption} Simulated data."
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with written_whole(snakemake.output[kind]) as temporary:
            figure.savefig(temporary, bbox_inches="tight", metadata=metadata)
    plt.close(figure)
    with written_whole(snakemake.output["text"]) as temporary:
        temporary.write_text(caption.strip() + "\n", encoding="utf-8")


def titled(title: str, *, simulated: bool) -> str:
    """Return a title that says so where the data is simulated."""
    return f"{title} (simulated data)" if simulated else title


def subject_label(subject: str) -> str:
    """Return how a subject is called in titles and captions."""
    return "joint RDM over subjects" if subject == JOINT_SUBJECT else f"subject {subject}"


def similarity_label(comparator: str) -> str:
    """Return the axis label of a comparator."""
    return SIMILARITY_LABELS[comparator]


def wrapped(labels: Sequence[str], width: int = 13) -> list[str]:
    """Return labels broken into lines: at spaces; words longer than a line, after underscores."""

    def breakable(word: str) -> str:
        return word if len(word) <= width else word.replace("_", "_ ")

    texts = (" ".join(map(breakable, label.split(" "))) for label in labels)
    lines = (textwrap.wrap(text, width, break_long_words=False) for text in texts)
    return ["\n".join(broken).replace("_ ", "_") for broken in lines]


def legend_below(figure: plt.Figure, panel: plt.Axes, n_columns: int) -> None:
    """Write a panel's legend below the figure, each label once."""
    handles, labels = panel.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=n_columns)


def layer_colours(n_layers: int) -> list[tuple]:
    """Return colours for consecutive layers, from early (dark) to late (light)."""
    return [tuple(colour) for colour in mpl.colormaps[SEQUENTIAL](np.linspace(0.05, 0.9, n_layers))]


def roi_colours(rois: Sequence[str]) -> dict[str, str]:
    """Return a colour per ROI; beyond ten they repeat with other line styles in mind."""
    return dict(zip(rois, cycle(PALETTE), strict=False))


# What permutation tests permute, by `workflow.lib.config.inference.permuted_units`.
PERMUTED = {
    "images": "the {called}",
    "within_groups": "the {called} within their group",
    "groups": "whole groups of {called}, those of one size among themselves",
}


def permuted_note(n_permutations: int, permuted: str, called: str) -> str:
    """Return what was permuted and how often, or that nothing was; `permuted`: of `PERMUTED`."""
    if n_permutations:
        return f"{n_permutations:,} permutations of {PERMUTED[permuted].format(called=called)}"
    none = f": no permutations were asked for, or no two groups of {called} are of one size"
    return f"No test was run{none if permuted == 'groups' else ''}"


def test_note(table: pd.DataFrame, alpha: float, permuted: str, called: str) -> str:
    """Return what was tested, with its numbers, for one comparator's and session's cells.

    What the images are `called` in the plural (`images.called` of the study) is said wherever a
    note counts or draws them: a study of eight categories has no images.
    """
    n_permutations = int(table["n_permutations"].iloc[0])
    note = permuted_note(n_permutations, permuted, called)
    if not n_permutations:
        return f"{note}."
    n_cells = table["q"].count()
    cells = f"{n_cells} cells" if n_cells > 1 else "only cell"
    return (
        f"One-sided Mantel test, {note}; "
        f"Benjamini-Hochberg q < {alpha:g} over the subject's {cells}."
    )


# What the intervals of a study are about, by what its resamples draw.
DRAWN = {
    "images": "over {called}",
    "within_groups": "over {called}, drawn within their groups",
    "groups": "over {called}, drawn in whole groups",
}


def drawn_note(resample: str, called: str) -> str:
    """Return what intervals are about; `resample` is a key of `DRAWN`."""
    return DRAWN[resample].format(called=called)


def interval_note(table: pd.DataFrame, resample: str, called: str) -> str:
    """Return what the intervals of a table of similarities are; `resample` is a key of `DRAWN`."""
    lines = f"Lines: 95 % intervals {drawn_note(resample, called)}"
    if table["se"].equals(table["se_bootstrap"]):
        return f"{lines}, bootstrap with {int(table['n_bootstrap'].iloc[0]):,} resamples."
    return f"{lines}, by the infinitesimal jackknife."


def n_note(table: pd.DataFrame, called: str) -> str:
    """Return the number of images and pairs behind a table, with what the images are called."""
    n_images, n_pairs = (int(table[column].iloc[0]) for column in ("n_images", "n_pairs"))
    return f"n = {n_images:,} {called} ({n_pairs:,} pairs)"
