"""Draw images that drive single units the most: one of each class, or filters layer by layer."""

import matplotlib.pyplot as plt
import numpy as np

from scripts.digits.units.maximised import Maximised, read_maximised
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, titled, use_style, write_figure

N_COLUMNS = 5
N_CLASS_COLUMNS = 8
# Between the images of a panel, as a part of their side; grey, so that images that are all white
# show on white paper.
GAP = 1 / 16
GAP_GREY = 0.6


def plot_maximised(maximised: Maximised, *, title: str, simulated: bool) -> tuple[plt.Figure, str]:
    """Draw images of class units, each with its class, or images of filters, a panel per layer.

    Parameters
    ----------
    maximised : Maximised
        Class units (with labels), or filters.
    title : name of the study
    simulated : whether the data is simulated
    """
    use_style()
    of_classes = bool(maximised.label[0])
    figure, what = (_draw_classes if of_classes else _draw_filters)(maximised)
    higher = int((maximised.activation > maximised.highest_seen).sum())
    figure.suptitle(f"{titled(title, simulated=simulated)}: {what}")
    caption = (
        f"Images found by gradient ascent that drive single units the most, {_units(maximised)}. "
        f"The activation, a mean over places before it is rectified, is higher than to any of "
        f"n = {maximised.n_seen[0]:,} validation images for {higher:,} of {len(maximised):,} units."
    )
    return figure, caption + (_recognised(maximised) if of_classes else "")


def _units(maximised: Maximised) -> str:
    """Return what units are shown, for the caption."""
    if maximised.label[0]:
        return f"one for each of {len(maximised)} classes"
    layers, counts = np.unique(maximised.layer, return_counts=True)
    least, most = counts.min(), counts.max()
    number = f"{most}" if least == most else f"{least} to {most}"
    filters = "filter" if most == 1 else "filters"
    return f"{number} {filters}, drawn at random, of each of {len(layers)} layers"


def _recognised(maximised: Maximised) -> str:
    right = int((maximised.predicted == maximised.label).sum())
    return (
        f" The network takes {right:,} of them for their own class; percentages are the "
        f"probabilities that it gives to it, and where it sees another class, that is named."
    )


def _grid(
    n_panels: int, most_columns: int, *, tallness: float
) -> tuple[plt.Figure, list[plt.Axes]]:
    """Return a figure as wide as a page, and panels `tallness` times as high as wide."""
    n_columns = min(most_columns, n_panels)
    n_rows = -(-n_panels // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(PAGE_WIDTH, PAGE_WIDTH / n_columns * n_rows * tallness + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, list(axes.flat[:n_panels])


def _draw_classes(maximised: Maximised) -> tuple[plt.Figure, str]:
    figure, axes = _grid(len(maximised), N_CLASS_COLUMNS, tallness=1.35)
    for i, axis in enumerate(axes):
        axis.imshow(maximised.images[i], interpolation="nearest")
        right = maximised.predicted[i] == maximised.label[i]
        percent = f"{100 * maximised.probability[i]:.0f} %"
        found = percent if right else f"seen as {maximised.predicted[i]}"
        axis.set_title(f"{maximised.label[i]}\n{found}", fontsize=7.5)
    return figure, "images that drive the class units"


def _draw_filters(maximised: Maximised) -> tuple[plt.Figure, str]:
    layers = list(dict.fromkeys(maximised.layer.tolist()))
    figure, axes = _grid(len(layers), N_COLUMNS, tallness=1.15)
    for layer, axis in zip(layers, axes, strict=True):
        axis.imshow(mosaic(maximised.images[maximised.layer == layer]), interpolation="nearest")
        axis.set_title(layer)
    return figure, "images that drive filters"


def mosaic(images: np.ndarray) -> np.ndarray:
    """Return images (n, side, side, 3) side by side, in as many rows as columns, grey around."""
    n, side = images.shape[:2]
    n_columns = int(np.ceil(np.sqrt(n)))
    n_rows = -(-n // n_columns)
    gap = max(1, round(GAP * side))
    step = side + gap
    shape = (n_rows * step + gap, n_columns * step + gap, 3)
    sheet = np.full(shape, GAP_GREY, images.dtype)
    for i, image in enumerate(images):
        row, column = (gap + place * step for place in divmod(i, n_columns))
        sheet[row : row + side, column : column + side] = image
    return sheet


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_maximised(
            read_maximised(snakemake.input.maximised),
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
