"""Draw what was seen, the shape that was decoded of it, and what a generator drew of both.

snakemake --cores 1 results/demo/pictures/figures/reconstructions_natural.png
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.figures.image_grids import N_SHOWN, Row, draw_grid, spread
from scripts.reconstruction.figures.reconstruction_labels import generator_label
from workflow.lib.jobs import script_job
from workflow.lib.plotting import subject_label, titled, use_style, write_figure
from workflow.lib.splits.held_out import read_predicted
from workflow.lib.tables import read_table


def plot_reconstructions(
    images: ImageTable,
    shapes: Mapping[str, np.ndarray],
    drawn: Mapping[str, np.ndarray],
    scores: pd.DataFrame,
    *,
    generator: str,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a block per subject, its images from the best to the worst, and return the caption, too.

    Parameters
    ----------
    images : ImageTable
        Of one test.
    shapes : mapping, subject -> float array (n_images, side, side)
        As decoded; empty for a generator that sees none.
    drawn : mapping, subject -> uint8 array (n_images, side, side, 3)
    scores : DataFrame
        Of the generator: subject, name, pixel_correlation, identified_pixels.
    generator : str
    title : str
        Name of the study.
    simulated : bool
    """
    use_style()
    blocks = []
    for subject, made in drawn.items():
        own = scores[scores["subject"] == subject].set_index("name").loc[images.names]
        order = np.argsort(-own["pixel_correlation"].to_numpy(), kind="stable")
        rows = spread(order, N_SHOWN)
        notes = [f"{value:.2f}" for value in own["pixel_correlation"].to_numpy()[rows]]
        block = [Row("seen", images.images[rows])]
        if subject in shapes:
            block.append(Row("decoded shape", shapes[subject][rows].clip(0, 1)))
        block.append(Row("reconstruction", made[rows], notes))
        blocks.append((subject_label(subject), block))
    name = titled(title, simulated=simulated)
    figure = draw_grid(blocks, title=f"{name}: reconstructions, best to worst")
    part = images.parts[0]
    mean = scores.groupby("subject", sort=False)["pixel_correlation"].mean()
    told = ", ".join(f"{subject_label(subject)} {value:.2f}" for subject, value in mean.items())
    n_shown = len(blocks[0][1][0].images)
    caption = (
        f"n = {len(images):,} images of the test {part}, {n_shown} of them shown for each "
        "subject: evenly spaced in the order of how well they are reconstructed, the best at the "
        f"left, the worst at the right. Generator: {generator_label(generator)}. Numbers: Pearson "
        f"correlation of the pixels of reconstruction and image; means over all images: {told}. "
        "Neither decoders nor the generator have seen any of these images, or responses to them."
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs, part = snakemake.params, snakemake.input, snakemake.wildcards.part
        images = read_image_table(Path(inputs.images)).of(part)
        by_subject = {
            kind: read_predicted(inputs.get(kind, []), part, images.names, by="subject")
            for kind in ("shapes", "reconstructions")
        }
        scores = read_table(inputs.scores)
        own = (scores["generator"] == params.generator) & (scores["part"] == part)
        figure, caption = plot_reconstructions(
            images,
            by_subject["shapes"],
            by_subject["reconstructions"],
            scores[own],
            generator=params.generator,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
