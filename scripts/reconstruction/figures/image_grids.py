"""Rows of small images under one another: what was seen, what was decoded, what was drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from workflow.lib.plotting import PAGE_WIDTH

# Inches beside the images for the names of the rows, above them for titles, and between blocks.
NAMES_WIDTH, TITLE_HEIGHT, GAP = 0.95, 0.28, 0.15
# On each side of an image, as a share of the width that it has.
MARGIN = 0.02
# Of more images, as many are drawn as can be told apart at the width of a page.
N_SHOWN = 12


@dataclass(frozen=True)
class Row:
    """One row of a grid.

    Attributes
    ----------
    name : str
        Written at its left.
    images : uint8 array (n, side, side, 3), or float array (n, side, side) from 0 to 1
    notes : sequence of n str
        Written below the images; none if empty.
    """

    name: str
    images: np.ndarray
    notes: Sequence[str] = ()


def draw_grid(blocks: Sequence[tuple[str, Sequence[Row]]], *, title: str) -> plt.Figure:
    """Return a figure of rows of images, in blocks with titles of their own.

    Parameters
    ----------
    blocks : sequence of (title, rows)
        All rows have as many images.
    title : str
    """
    n_images = len(blocks[0][1][0].images)
    size = (PAGE_WIDTH - NAMES_WIDTH) / n_images
    heights = [sum(size + 0.14 * bool(row.notes) for row in rows) for _, rows in blocks]
    gaps = [GAP] * (len(blocks) - 1)
    height = sum(heights) + sum(gaps) + TITLE_HEIGHT * (len(blocks) + 1)
    figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    # A gap after each block but the last: titles would stand close below the notes of others.
    ratios = [ratio for pair in zip(heights, [*gaps, 0], strict=True) for ratio in pair][:-1]
    parts = figure.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)[::2, 0]
    for part, (name, rows) in zip(parts, blocks, strict=True):
        axes = part.subplots(len(rows), 1, squeeze=False)[:, 0]
        for row, axis in zip(rows, axes, strict=True):
            _draw_row(row, axis)
        if name:
            part.suptitle(name, fontsize=8.5)
    figure.suptitle(title)
    return figure


def _draw_row(row: Row, axis: plt.Axes) -> None:
    """Draw images side by side from 0 to n on one axis, since an axis for each is slow."""
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1} if row.images.ndim == 3 else {}
    for left, image in enumerate(row.images):
        extent = (left + MARGIN, left + 1 - MARGIN, 1 - MARGIN, MARGIN)
        axis.imshow(image, extent=extent, interpolation="nearest", **grey)
    n_images = len(row.images)
    axis.set(xlim=(0, n_images), ylim=(1, 0), yticks=[])
    axis.set_xticks(np.arange(n_images) + 0.5, row.notes or [""] * n_images, fontsize=6.5)
    axis.tick_params(length=0, pad=1)
    axis.spines[:].set_visible(False)
    axis.set_ylabel(row.name, rotation=0, ha="right", va="center", fontsize=7.5)


def spread(order: np.ndarray, n: int) -> np.ndarray:
    """Return n of the ranked items, the first, the last, and others evenly between them."""
    if n >= len(order):
        return order
    return order[np.linspace(0, len(order) - 1, n).round().astype(int)]
