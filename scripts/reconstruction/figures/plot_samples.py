"""Draw the same validation images by a generator as its training goes on.

snakemake --cores 1 results/demo/pictures/figures/samples_full_01.png
"""

import matplotlib.pyplot as plt

from scripts.reconstruction.figures.image_grids import Row, draw_grid, spread
from scripts.reconstruction.figures.reconstruction_labels import generator_label
from scripts.reconstruction.generator.sample_grid import SampleGrid, read_samples
from workflow.lib.jobs import script_job
from workflow.lib.plotting import subject_label, titled, use_style, write_figure

MOST_ROWS = 8


def plot_samples(
    samples: SampleGrid, *, generator: str, subject: str, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a row per epoch below the images, and return the figure and its caption.

    Parameters
    ----------
    samples : SampleGrid
    generator, subject : str
    title : str
        Name of the study.
    simulated : bool
    """
    use_style()
    shown = spread(samples.epochs, MOST_ROWS)
    drawn = dict(zip(samples.epochs.tolist(), samples.drawn, strict=True))
    rows = [Row("seen", samples.images)]
    if samples.shapes.any():
        rows.append(Row("decoded shape", samples.shapes.clip(0, 1)))
    rows += [Row(f"epoch {epoch}", drawn[epoch]) for epoch in shown.tolist()]
    name = titled(title, simulated=simulated)
    what = f"{generator_label(generator)}, {subject_label(subject)}"
    figure = draw_grid([("", rows)], title=f"{name}: {what}, as training goes on")
    return figure, (
        f"n = {len(samples.names)} images of training that the generator's weights are not fitted "
        f"to ({what}), drawn after some of n = {int(samples.epochs.max())} epochs from what was "
        "decoded of responses to them. By such images the epoch is chosen whose weights are kept; "
        "test images have no part in it."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_samples(
            read_samples(snakemake.input.samples),
            generator=params.generator,
            subject=params.subject,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
