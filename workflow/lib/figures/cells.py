"""Tables drawn as coloured cells with what they hold written into them."""

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize

from workflow.lib.plotting import MUTED, SEQUENTIAL

# Behind cells that have no colour.
GROUND = "0.93"
# Relative luminance at which black and white text have the same contrast: (L + 0.05)^2 = 0.0525.
EVEN_CONTRAST = 0.0525**0.5 - 0.05


def draw_cells(
    axes: plt.Axes,
    values: np.ndarray,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    norm: Normalize,
    texts: np.ndarray | None = None,
    coloured: np.ndarray | None = None,
    cmap: str = SEQUENTIAL,
    fontsize: float = 7,
    turned: bool = False,
) -> QuadMesh:
    """Draw a table with its first row at the top, and return what a colour bar is made of.

    Parameters
    ----------
    axes : Axes
    values : float array (n_rows, n_columns)
        NaN has no colour.
    rows, columns : names, written beside and below
    norm : Normalize
        What colours span.
    texts : array of str (n_rows, n_columns), optional
        Written into the cells, in black or white, whichever has more contrast with the colour.
    coloured : bool array (n_rows, n_columns), optional
        Cells that have their colour; the text of others is muted.
    cmap, fontsize : look of the cells, and of their text
    turned : bool
        Whether names of columns are written upwards.
    """
    shown = np.isfinite(values) if coloured is None else coloured & np.isfinite(values)
    mesh = axes.pcolormesh(
        np.ma.masked_array(values, ~shown),
        cmap=cmap,
        norm=norm,
        edgecolors="white",
        linewidth=0.6,
    )
    if not shown.all():
        axes.set_facecolor(GROUND)
    if texts is not None:
        for (i, j), text in np.ndenumerate(texts):
            colour = text_colour(mesh.to_rgba(values[i, j])) if shown[i, j] else MUTED
            place = {"ha": "center", "va": "center", "fontsize": fontsize}
            axes.text(j + 0.5, i + 0.5, text, color=colour, **place)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=90 if turned else 0)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    return mesh


def text_colour(background: Sequence[float]) -> str:
    """Return black or white, whichever is read better on a colour.

    References
    ----------
    Contrast of text: Web Content Accessibility Guidelines 2.1, "contrast ratio".
    """
    return "black" if luminance(background) > EVEN_CONTRAST else "white"


def luminance(colour: Sequence[float]) -> float:
    """Return the relative luminance of an sRGB colour, 0 to 1 (IEC 61966-2-1)."""
    parts = np.asarray(mpl.colors.to_rgb(tuple(colour)))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
