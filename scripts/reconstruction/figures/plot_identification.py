"""Draw how well reconstructions are identified, and how alike their pixels are.

snakemake --cores 1 results/demo/pictures/figures/identification_natural.png
"""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd

from scripts.reconstruction.evaluation.measure_names import IDENTIFICATION
from scripts.reconstruction.figures.means_panels import draw_means, model_colours
from scripts.reconstruction.figures.reconstruction_labels import (
    INTERVALS,
    TRAINED_ONCE,
    generator_label,
    numbers_with_p,
    size_note,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, titled, use_style, write_figure
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.tables import read_table

MOST_COLUMNS = 4
MEASURES = {
    "pixel_correlation": "pixel correlation\n(Pearson $r$)",
    "ssim": "structural\nsimilarity (SSIM)",
    "rmse": "RMSE of pixels\n(less is better)",
}


def plot_identification(
    means: pd.DataFrame,
    *,
    generators: Sequence[str],
    reference: str,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a panel per kind of identification and measure, a line per generator.

    Parameters
    ----------
    means : DataFrame
        Of one test, see `scripts.reconstruction.evaluation.evaluate_reconstruction`.
    generators : sequence of str
        In the order in which they are drawn.
    reference : str
    title : str
        Name of the study.
    simulated : bool
    """
    use_style()
    panels = list(_panels(means))
    # As many in each row: the last one would hold a single panel otherwise.
    n_rows = math.ceil(len(panels) / MOST_COLUMNS)
    n_columns = math.ceil(len(panels) / n_rows)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(PAGE_WIDTH, 0.5 + n_rows * (0.55 + 0.2 * len(generators))),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    colours = model_colours(generators, reference)
    for axis, (label, rows) in zip(axes.flat, panels, strict=False):
        draw_means(axis, rows, generators, "generator", colours)
        axis.set_xlabel(label)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_yticklabels([generator_label(name) for name in generators])
    figure.suptitle(f"{titled(title, simulated=simulated)}: how good reconstructions are")
    return figure, _caption(means, generators)


def _panels(means: pd.DataFrame):
    """Yield the label and the rows of each panel."""
    own = means[means["measure"] == IDENTIFICATION]
    for (features, n_way), rows in own.groupby(["features", "n_way"], sort=False):
        yield f"{int(n_way)}-way identification\nby {features}", rows
    for measure, label in MEASURES.items():
        yield label, means[means["measure"] == measure]


def _caption(means: pd.DataFrame, generators: Sequence[str]) -> str:
    joint = means[(means["subject"] == JOINT_SUBJECT) & (means["measure"] == IDENTIFICATION)]
    two_way = joint[(joint["features"] == "pixels") & (joint["n_way"] == 2)].set_index("generator")
    told = numbers_with_p(two_way, generators)
    networks = joint.loc[joint["network"].notna(), ["features", "network"]].drop_duplicates()
    by_network = "; ".join(f"{row.features}, {row.network}" for row in networks.itertuples())
    return (
        f"{size_note(means)}. Identification: the share of sets of one true image and n - 1 others "
        "in which the true one resembles the reconstruction most; all sets are counted, copies of "
        "an image are never compared with each other, and count as one. Dotted: chance. SSIM is of "
        f"grey images of 425 pixels a side, as published. {INTERVALS} {TRAINED_ONCE} "
        "Two-way identification by pixels, p by permutation of the images (one-sided, not "
        f"corrected): {told}.{f' Networks: {by_network}.' if by_network else ''}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        means = read_table(snakemake.input.means)
        figure, caption = plot_identification(
            means[means["part"] == snakemake.wildcards.part],
            generators=params.generators,
            reference=params.reference,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
