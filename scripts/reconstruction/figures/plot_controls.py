"""Draw the same images by all generators and baselines: what each stream, and each region, adds.

snakemake --cores 1 results/demo/pictures/figures/controls_natural.png
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.figures.image_grids import N_SHOWN, Row, draw_grid, spread
from scripts.reconstruction.figures.reconstruction_labels import generator_label, told_note
from workflow.lib.jobs import script_job
from workflow.lib.plotting import subject_label, titled, use_style, write_figure
from workflow.lib.splits.held_out import read_predicted
from workflow.lib.tables import read_table


def plot_controls(
    images: ImageTable,
    drawn: Mapping[str, np.ndarray],
    scores: pd.DataFrame,
    *,
    told: Mapping[str, Mapping[str, str]],
    subject: str,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a row per generator, and return the figure and its caption.

    Parameters
    ----------
    images : ImageTable
        Of one test.
    drawn : mapping, generator -> uint8 array (n_images, side, side, 3)
    scores : DataFrame
        Of the subject: generator, name, pixel_correlation.
    told : mapping
        What tells generators, see `told_note`.
    subject : str
    title : str
        Name of the study.
    simulated : bool

    Notes
    -----
    Images are taken evenly from the order of names: those that one generator draws well would
    flatter it beside the others.
    """
    use_style()
    rows = spread(np.arange(len(images)), N_SHOWN)
    grid = [Row("seen", images.images[rows])]
    means = scores.groupby("generator", sort=False)["pixel_correlation"].mean()
    for name, made in drawn.items():
        grid.append(Row(f"{generator_label(name)}\n(mean $r$ {means[name]:.2f})", made[rows]))
    name = titled(title, simulated=simulated)
    figure = draw_grid([("", grid)], title=f"{name}: {subject_label(subject)}, all generators")
    caption = (
        f"n = {len(images):,} images of the test {images.parts[0]}, {len(rows)} of them shown, "
        f"evenly from the order of names, of {subject_label(subject)}. "
        "A row per generator or baseline; beside it the mean over all images of the Pearson "
        f"correlation of the pixels of reconstruction and image. {told_note(told)}"
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs, part = snakemake.params, snakemake.input, snakemake.wildcards.part
        images = read_image_table(Path(inputs.images)).of(part)
        scores = read_table(inputs.scores)
        own = (scores["subject"] == params.subject) & (scores["part"] == part)
        figure, caption = plot_controls(
            images,
            read_predicted(inputs.reconstructions, part, images.names, by="generator"),
            scores[own],
            told=params.told,
            subject=params.subject,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
