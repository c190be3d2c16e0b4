"""Draw images, the shapes to decode, and what every decoder decoded, from the best to the worst.

snakemake --cores 1 results/real/miyawaki/figures/shapes_training.png
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.figures.image_grids import N_SHOWN, Row, draw_grid, spread
from scripts.reconstruction.figures.reconstruction_labels import generator_label, images_note
from workflow.lib.jobs import script_job
from workflow.lib.plotting import subject_label, titled, use_style, write_figure
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import attributes_of, read_held_out
from workflow.lib.tables import read_table

# What decoders have seen of the images of a part.
OUT_OF_FOLD = "Each is decoded by a model that saw no response to it, or to a copy of it"
OF_TEST = "Decoders saw no response to any of them"


def plot_shapes(
    images: ImageTable,
    decoded: Mapping[str, Mapping[str, np.ndarray]],
    scores: pd.DataFrame,
    *,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw the same images for all subjects, ordered by the first decoder; return the caption, too.

    Parameters
    ----------
    images : ImageTable
        Of one part.
    decoded : mapping, subject -> decoder -> float array (n_images, side, side)
    scores : DataFrame
        Of the part: decoder, subject, name, pixel_correlation.
    title : str
        Name of the study.
    simulated : bool
    """
    use_style()
    by_image = scores.pivot(
        index="name", columns=["subject", "decoder"], values="pixel_correlation"
    ).loc[images.names]
    decoders = list(next(iter(decoded.values())))
    of_first = by_image.xs(decoders[0], axis=1, level="decoder").mean(axis=1).to_numpy()
    rows = spread(np.argsort(-of_first, kind="stable"), N_SHOWN)
    drawn = [Row("seen", images.images[rows]), Row("its shape", images.shapes[rows])]
    for subject, by_decoder in decoded.items():
        whose = f"{subject_label(subject)},\n" if len(decoded) > 1 else ""
        drawn += [
            Row(
                whose + generator_label(name),
                shapes[rows].clip(0, 1),
                [f"{value:z.2f}" for value in by_image[subject, name].to_numpy()[rows]],
            )
            for name, shapes in by_decoder.items()
        ]
    name = titled(title, simulated=simulated)
    figure = draw_grid([("", drawn)], title=f"{name}: decoded shapes, best to worst")
    return figure, _caption(images, by_image, len(rows), decoders)


def _caption(
    images: ImageTable, by_image: pd.DataFrame, n_shown: int, decoders: Sequence[str]
) -> str:
    part = images.parts[0]
    n_subjects = by_image.columns.unique("subject").size
    by_decoder = by_image.mean().groupby("decoder").mean()
    told = ", ".join(f"{generator_label(name)} {by_decoder[name]:.2f}" for name in decoders)
    unseen = OUT_OF_FOLD if part == TRAINING else OF_TEST
    return (
        f"{part} {images_note(len(images), np.unique(images.groups).size)}; n = {n_subjects} "
        f"subject{'s' * (n_subjects > 1)}. Shown are {n_shown} images, the same for all subjects, "
        f"evenly spaced in the order of how well {generator_label(decoders[0])} decodes their "
        "shape on average over subjects: the best at the left, the worst at the right. Numbers: "
        "Pearson correlation of the pixels of the decoded shape with those of the true one; "
        f"{told} on average over all images and subjects. {unseen}. Decoded values below 0 are "
        "drawn black, above 1 white."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs, part = snakemake.params, snakemake.input, snakemake.wildcards.part
        images = read_image_table(Path(inputs.images)).of(part)
        decoded: dict[str, dict[str, np.ndarray]] = {}
        for file in inputs.shapes:
            about = attributes_of(file)
            shapes = read_held_out(file, part).of(images.names).predicted
            decoded.setdefault(str(about["subject"]), {})[str(about["decoder"])] = shapes
        scores = read_table(inputs.scores)
        figure, caption = plot_shapes(
            images,
            decoded,
            scores[scores["part"] == part],
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
