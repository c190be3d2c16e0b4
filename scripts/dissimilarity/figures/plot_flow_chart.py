"""Draw the flow of data, labels and models of an entry of the config, with its numbers."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import FancyBboxPatch, Rectangle

from scripts.dissimilarity.evaluation.score_tables import chosen, fully_trained, read_scores
from scripts.dissimilarity.figures.pair_figures import (
    PLAIN,
    SPLIT_COLOURS,
    in_order,
    span,
    subjects_note,
)
from workflow.lib.config.pair_kinds import needs
from workflow.lib.jobs import script_job
from workflow.lib.pairs.splits import RANDOM_PAIRS
from workflow.lib.plotting import PAGE_WIDTH, titled, use_style, write_figure

# Inches.
LINE = 0.118
PADDING = 0.07
GAP = 0.16
TITLE_HEIGHT = 0.36
# Of arrows that go round a box, with what is written along them.
DETOUR = 0.26
MARGIN = 0.05
ICON = 0.62
WIDTHS = (1.2, 1.26, 1.42, 1.52, 1.06)
FONT_SIZE = 6.4
# Points that a character of this font takes in the mean, in units of its size.
CHARACTER = 0.58
# Of the icons of splits: images, and those that are held out.
N_IMAGES, N_HELD_OUT = 12, 4
TRAINED, UNUSED = "0.62", "0.94"
METRIC_LINES = {"correlation": "1 - Pearson r", "euclidean": "Euclidean"}
SPLIT_LINES = {
    "leaked": "leaked: pairs held out, their images seen",
    "one_seen": "one image of a test pair seen",
    "clean": "clean: no image of a test pair seen",
}


@dataclass(frozen=True)
class Study:
    """What is compared, as the config has it.

    Attributes
    ----------
    source : "simulated", "path" or "rsa"
    rois : ROI -> its parts, or "all"
    metrics : of the responses
    embeddings : name -> kind
    models : name -> kind
    n_folds : of images, and of pairs
    validation_share : of the images that are not tested
    """

    source: str
    rois: Mapping[str, Sequence[str] | str]
    metrics: Sequence[str]
    embeddings: Mapping[str, str]
    models: Mapping[str, str]
    n_folds: int
    validation_share: float


@dataclass(frozen=True)
class Box:
    """A box of the chart: its place in inches, from the lower left, and its lines."""

    title: str
    lines: tuple[str, ...]
    left: float
    width: float

    @property
    def wrapped(self) -> list[str]:
        """Return the lines, broken to the width of the box."""
        n = int((self.width - 2 * PADDING) * 72 / (FONT_SIZE * CHARACTER))
        return [
            part
            for line in self.lines
            for part in textwrap.wrap(line, n, subsequent_indent="  ", break_on_hyphens=False)
        ]

    @property
    def height(self) -> float:
        return LINE * (len(self.wrapped) + 1.4) + 2 * PADDING


def plot_flow_chart(
    table: pd.DataFrame, study: Study, *, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw the chart, and return the figure and its caption.

    Parameters
    ----------
    table : DataFrame, `pair_scores.csv`
        Where numbers of subjects, images and pairs are counted.
    study : Study
    title : name of the study
    simulated : whether the data is simulated
    """
    rows = fully_trained(chosen(table, measure="spearman"))
    splits = in_order(rows["split"], SPLIT_LINES)
    boxes = _boxes(rows, study)
    icons_height = len(splits) * (ICON + GAP) + LINE * 4
    height = (
        TITLE_HEIGHT
        + MARGIN
        + max(
            boxes["images"].height + boxes["responses"].height + 2 * GAP + 2 * DETOUR,
            boxes["embeddings"].height + boxes["rdms"].height + 2 * GAP + 2 * DETOUR,
            boxes["models"].height,
            icons_height,
        )
    )
    use_style()
    figure = plt.figure(figsize=(PAGE_WIDTH, height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, PAGE_WIDTH), ylim=(0, height))
    axis.set_axis_off()
    middle = MARGIN + (height - TITLE_HEIGHT - MARGIN) / 2
    upper, lower = _rows_of_boxes(boxes, middle)
    centres = {"images": upper, "embeddings": upper, "responses": lower, "rdms": lower}
    for name, box in boxes.items():
        _draw_box(axis, box, centres.get(name, middle))
    left = boxes["models"].left + WIDTHS[2] + GAP
    _draw_splits(axis, splits, rows, left, middle + icons_height / 2, icons_height)
    _draw_arrows(axis, boxes, left, upper=upper, middle=middle, lower=lower)
    _draw_detours(axis, boxes, study, upper=upper, middle=middle, lower=lower)
    axis.text(
        PAGE_WIDTH / 2,
        height - 0.12,
        f"{titled(title, simulated=simulated)}: data, labels and models",
        ha="center",
        va="top",
        fontsize=9.5,
    )
    return figure, _caption(rows, study, splits)


def _draw_arrows(
    axis: plt.Axes,
    boxes: Mapping[str, Box],
    left: float,
    *,
    upper: float,
    middle: float,
    lower: float,
) -> None:
    """Join the boxes of each row, and all to the models, the splits (at `left`) and the scores."""
    models = boxes["models"]
    reach = models.height / 2 - PADDING
    for y, first, second in ((upper, "images", "embeddings"), (lower, "responses", "rdms")):
        _arrow(axis, _right(boxes[first], y), (boxes[second].left, y))
        end = (models.left, float(np.clip(y, middle - reach, middle + reach)))
        _arrow(axis, _right(boxes[second], y), end)
    _arrow(axis, _right(models, middle), (left, middle))
    _arrow(axis, (left + WIDTHS[3], middle), (boxes["scores"].left, middle))


def _draw_detours(
    axis: plt.Axes,
    boxes: Mapping[str, Box],
    study: Study,
    *,
    upper: float,
    middle: float,
    lower: float,
) -> None:
    """Lead images above, and responses below, to the models that learn from these themselves."""
    models = boxes["models"]
    top = upper + max(boxes[name].height for name in ("images", "embeddings")) / 2
    bottom = lower - max(boxes[name].height for name in ("responses", "rdms")) / 2
    for need, y, own, side in (
        ("images", top + DETOUR * 0.55, upper + boxes["images"].height / 2, 1),
        ("responses", bottom - DETOUR * 0.55, lower - boxes["responses"].height / 2, -1),
    ):
        names = [name for name, kind in study.models.items() if need in needs(kind)]
        if not names:
            continue
        start = boxes[need].left + boxes[need].width / 2
        end = models.left + models.width / 4
        reach = middle + side * models.height / 2
        # A box as tall as the chart is met at its side.
        tall = side * (reach - y) > 0
        corner = models.left if tall else end
        axis.plot([start, start, corner], [own, y, y], color="0.25", lw=1.0, solid_capstyle="butt")
        if tall:
            _arrow(axis, (models.left - GAP / 2, y), (models.left, y))
        else:
            _arrow(axis, (end, y), (end, reach))
        axis.text(
            boxes["rdms"].left,
            y + side * 0.02,
            f"{need} to {', '.join(names)}",
            ha="left",
            va="bottom" if side > 0 else "top",
            fontsize=5.8,
        )


def _boxes(rows: pd.DataFrame, study: Study) -> dict[str, Box]:
    """Return all boxes from left to right."""
    lefts = np.cumsum([MARGIN, *(width + GAP for width in WIDTHS[:-1])])
    each = rows.groupby("subject")["n_images"].max()
    n_pairs = each * (each - 1) / 2
    texts = {
        "images": (0, "Images", _image_lines(study, each)),
        "responses": (0, "fMRI responses", _roi_lines(study)),
        "embeddings": (
            1,
            "Embeddings",
            tuple(f"{name} ({kind})" for name, kind in study.embeddings.items()) or ("none",),
        ),
        "rdms": (
            1,
            "Labels: RDMs",
            (
                *(METRIC_LINES.get(metric, metric) for metric in study.metrics),
                f"{span(n_pairs)} pairs each",
                f"{len(study.rois) * len(study.metrics) * len(each)} RDMs",
            ),
        ),
        "models": (
            2,
            "Models of pairs (a, b)",
            tuple(
                name if name == kind else f"{name} ({kind})" for name, kind in study.models.items()
            ),
        ),
        "scores": (4, "Scores", _score_lines()),
    }
    return {
        name: Box(title, lines, float(lefts[column]), WIDTHS[column])
        for name, (column, title, lines) in texts.items()
    }


def _image_lines(study: Study, each: pd.Series) -> tuple[str, ...]:
    n = len(each)
    source = {
        "simulated": "simulated scenes",
        "path": "natural scenes (NSD, Algonauts 2023)",
        "rsa": "stimuli of the layer x ROI study",
    }
    return (
        source.get(study.source, study.source),
        f"{n} subject{'s' if n != 1 else ''}",
        f"{span(each)} images{' each' if n > 1 else ''}",
    )


def _roi_lines(study: Study) -> tuple[str, ...]:
    return tuple(
        f"{roi} = {' + '.join(parts)}"
        if not isinstance(parts, str) and list(parts) != [roi]
        else roi + (": all vertices" if parts == "all" else "")
        for roi, parts in study.rois.items()
    )


def _score_lines() -> tuple[str, ...]:
    return (
        "R² over all test pairs",
        "Spearman, Pearson",
        "per image row",
        "intervals: images resampled",
        "p: images permuted",
        "ceiling",
    )


def _rows_of_boxes(boxes: Mapping[str, Box], middle: float) -> tuple[float, float]:
    """Return the heights of the middles of the upper and the lower row."""
    upper = max(boxes[name].height for name in ("images", "embeddings")) / 2
    lower = max(boxes[name].height for name in ("responses", "rdms")) / 2
    # The border between the two is not the middle where one row is the taller.
    border = middle + lower - upper
    return border + GAP / 2 + upper, border - GAP / 2 - lower


def _right(box: Box, y: float) -> tuple[float, float]:
    return box.left + box.width, y


def _draw_box(axis: plt.Axes, box: Box, centre: float) -> None:
    bottom = centre - box.height / 2
    axis.add_patch(
        FancyBboxPatch(
            (box.left, bottom),
            box.width,
            box.height,
            boxstyle="round,pad=0,rounding_size=0.05",
            fc="0.97",
            ec="0.35",
            lw=0.8,
        )
    )
    top = bottom + box.height - PADDING
    text = {"ha": "left", "va": "top", "fontsize": FONT_SIZE}
    axis.text(box.left + PADDING, top, box.title, **text, fontweight="bold")
    for number, line in enumerate(box.wrapped):
        axis.text(box.left + PADDING, top - LINE * (number + 1.4), line, **text)


def _draw_splits(
    axis: plt.Axes,
    splits: Sequence[str],
    rows: pd.DataFrame,
    left: float,
    top: float,
    height: float,
) -> None:
    """Draw a small matrix of pairs for each split, with its numbers beside it."""
    axis.add_patch(
        FancyBboxPatch(
            (left, top - height),
            WIDTHS[3],
            height,
            boxstyle="round,pad=0,rounding_size=0.05",
            fc="0.97",
            ec="0.35",
            lw=0.8,
        )
    )
    text = {"ha": "left", "va": "top", "fontsize": FONT_SIZE}
    axis.text(
        left + PADDING,
        top - PADDING,
        f"Splits, {span(rows['n_folds'])} folds",
        **text,
        fontweight="bold",
    )
    at_random = RANDOM_PAIRS in set(rows.get("deal", ()))
    for number, split in enumerate(splits):
        y = top - PADDING - LINE * 1.6 - number * (ICON + GAP)
        cells = icon_cells(RANDOM_PAIRS if split == "leaked" and at_random else split)
        _draw_icon(axis, cells, SPLIT_COLOURS[split], left + PADDING, y - ICON)
        beside = left + PADDING + ICON + 0.06
        of_split = rows[rows["split"] == split]
        lines = [
            *textwrap.wrap(SPLIT_LINES.get(split, split), 16),
            f"{span(of_split['n_pairs'])}",
            "test pairs",
        ]
        for place, line in enumerate(lines):
            axis.text(beside, y - 0.1 * place, line, **{**text, "fontsize": 5.8})
    axis.text(
        left + PADDING,
        top - height + PADDING * 0.7,
        "grey: training pairs\ncoloured: test pairs",
        ha="left",
        va="bottom",
        fontsize=5.8,
    )


def icon_cells(split: str) -> np.ndarray:
    """Return what pairs of twelve images are for: 0 unused, 1 training, 2 test, -1 no pair.

    Parameters
    ----------
    split : "leaked", "one_seen", "clean" or `RANDOM_PAIRS`, leaked pairs that are dealt out at
        random

    Returns
    -------
    int array (12, 12), pairs below the diagonal
    """
    first, second = np.tril_indices(N_IMAGES, -1)
    seen = (first < N_IMAGES - N_HELD_OUT).astype(int) + (second < N_IMAGES - N_HELD_OUT)
    clean = np.array([2, 0, 1])[seen]
    # As random ones, they lie everywhere; as many as clean ones, of the pairs that are not tested.
    order = np.where(clean == 2, np.inf, (first * 7 + second * 17) % 31)
    dealt = np.argsort(np.argsort(order, kind="stable")) < np.count_nonzero(clean == 1)
    purposes = {
        "clean": clean,
        "one_seen": np.array([0, 2, 1])[seen],
        "leaked": np.where(clean == 2, 2, dealt.astype(int)),
        RANDOM_PAIRS: np.where((first * 7 + second * 3) % 5 == 0, 2, 1),
    }
    cells = np.full((N_IMAGES, N_IMAGES), -1)
    cells[first, second] = purposes[split]
    return cells


def _draw_icon(axis: plt.Axes, cells: np.ndarray, colour: str, left: float, bottom: float) -> None:
    side = ICON / N_IMAGES
    colours = {0: UNUSED, 1: TRAINED, 2: colour}
    for (i, j), purpose in np.ndenumerate(cells):
        if purpose in colours:
            place = (left + j * side, bottom + ICON - (i + 1) * side)
            axis.add_patch(Rectangle(place, side, side, fc=colours[purpose], ec="white", lw=0.25))


def _arrow(axis: plt.Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": "0.25", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops={**style, "mutation_scale": 7})


def _caption(rows: pd.DataFrame, study: Study, splits: Sequence[str]) -> str:
    trained = ", ".join(
        f"{split} {span(rows.loc[rows['split'] == split, 'n_training_images'])}" for split in splits
    )
    at_random = RANDOM_PAIRS in set(rows.get("deal", ()))
    pooled = ", but for leaked pairs" if at_random else ""
    validated = "that share of the pairs" if at_random else "as many pairs as clean has then"
    return (
        f"Two images in, the dissimilarity of the fMRI responses to them out: {subjects_note(rows)}"
        f", {span(rows.groupby('subject')['n_images'].max())} images each, {len(study.rois)} ROI(s)"
        f", {len(study.metrics)} metric(s), {len(study.embeddings)} embedding(s), "
        f"{len(study.models)} models, {study.n_folds} folds. Images of a fold that are trained on: "
        f"{trained}; of the images that are not tested, {study.validation_share:.0%} are for "
        f"validation (leaked: {validated}). Small matrices: what pairs of "
        f"{N_IMAGES} images are for in one fold; light: pairs that it does not use. "
        f"{PLAIN['r2']} is taken over the test pairs of all folds at once, correlations within "
        f"folds{pooled}. Lines round the boxes: models that learn from images, or responses, "
        "themselves."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_flow_chart(
            read_scores(snakemake.input.table),
            Study(
                source=params.source,
                rois=params.rois,
                metrics=params.metrics,
                embeddings=params.embeddings,
                models=params.models,
                n_folds=params.n_folds,
                validation_share=params.validation_share,
            ),
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
