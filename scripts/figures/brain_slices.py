"""What figures of maps draw alike: slices without axes, outlines, and which side is which."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection

from workflow.lib.plotting import similarity_label
from workflow.lib.searchlight.slices import Oriented, outline
from workflow.lib.searchlight.words import is_group


def image_options(one: Oriented) -> dict:
    """Return how `imshow` draws slices of a map, transposed: voxels in their proportions."""
    ratio = np.divide(*nibabel.affines.voxel_sizes(one.affine)[1::-1])
    return {"origin": "lower", "interpolation": "nearest", "aspect": ratio}


def draw_outlines(panel: plt.Axes, inside: np.ndarray, found: np.ndarray, width: float) -> None:
    """Draw the edge of the brain, and that of what was found in it.

    Parameters
    ----------
    panel : axes of one slice
    inside, found : bool arrays (x, y)
    width : of the line around what was found, points
    """
    panel.add_collection(LineCollection(outline(inside), colors="0.5", linewidths=0.5))
    edges = outline(found)
    # White below black: seen on dark and on light colours.
    for colour, times in (("white", 2), ("black", 1)):
        panel.add_collection(LineCollection(edges, colors=colour, linewidths=times * width))
    panel.set(xlim=(-1, inside.shape[0]), ylim=(-1, inside.shape[1]))


def blank(panels: Iterable[plt.Axes]) -> None:
    """Take ticks and frames off panels."""
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)


def name_sides(panel: plt.Axes) -> None:
    """Write below an axial slice which of its sides is the left one: x runs to the right."""
    for side, place in (("L", 0.0), ("R", 1.0)):
        at = {"transform": panel.transAxes, "ha": "center", "va": "top"}
        panel.text(place, -0.02, side, fontsize=7, **at)


def value_label(table: pd.DataFrame) -> str:
    """Return what the values of maps are, of a subject or of the group."""
    label = similarity_label(table["comparator"].iloc[0])
    return f"mean $z$ of\n{label}" if is_group(table) else label
