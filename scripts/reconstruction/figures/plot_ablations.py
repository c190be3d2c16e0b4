"""Draw how much worse reconstructions are without a stream or a region: paired differences.

snakemake --cores 1 results/demo/pictures/figures/ablations_natural.png
"""

from collections.abc import Mapping, Sequence

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
    told_note,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, titled, use_style, write_figure
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.tables import read_table


def plot_ablations(
    differences: pd.DataFrame,
    *,
    others: Sequence[str],
    reference: str,
    told: Mapping[str, Mapping[str, str]],
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw the reference less each other generator, and return the figure and its caption.

    Parameters
    ----------
    differences : DataFrame
        Of one test, see `scripts.reconstruction.evaluation.evaluate_reconstruction`.
    others : sequence of str
        In the order in which they are drawn.
    reference : str
    told : mapping
        What tells generators, see `told_note`.
    title : str
        Name of the study.
    simulated : bool
    """
    use_style()
    table = differences.rename(columns={"difference": "value"}).assign(chance=0.0)
    panels = list(_panels(table))
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(PAGE_WIDTH, 1.05 + 0.22 * len(others)),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for axis, (label, rows) in zip(axes[0], panels, strict=True):
        draw_means(axis, rows, others, "other", model_colours(others, None))
        axis.set_xlabel(label)
    labels = [f"- {generator_label(name)}" for name in others]
    axes[0, 0].set_yticklabels([f"{generator_label(reference)} {label}" for label in labels])
    figure.suptitle(f"{titled(title, simulated=simulated)}: what each stream and region adds")
    return figure, _caption(table, others, reference, told)


def _panels(table: pd.DataFrame):
    """Yield the label and the rows of each panel: two-way identification, and pixels."""
    own = table[(table["measure"] == IDENTIFICATION) & (table["n_way"] == 2)]
    for features, rows in own.groupby("features", sort=False):
        yield f"difference of two-way\nidentification by {features}", rows
    pixels = table[table["measure"] == "pixel_correlation"]
    yield "difference of\npixel correlation (r)", pixels


def _caption(
    table: pd.DataFrame,
    others: Sequence[str],
    reference: str,
    told: Mapping[str, Mapping[str, str]],
) -> str:
    joint = table[(table["subject"] == JOINT_SUBJECT) & (table["measure"] == "pixel_correlation")]
    numbers = numbers_with_p(joint.set_index("other"), others)
    return (
        f"{size_note(table)}. How much better {generator_label(reference)} is than generators that "
        "are not told of a stream, or see other regions, over the same images. Right of the dotted "
        f"line: better. {told_note(told)} {INTERVALS} {TRAINED_ONCE} Pixel correlation, p "
        f"two-sided (t over images, not corrected): {numbers}."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        differences = read_table(snakemake.input.differences)
        # Pairs without the reference stand in the table alone.
        shown = differences["generator"] == params.reference
        figure, caption = plot_ablations(
            differences[shown & (differences["part"] == snakemake.wildcards.part)],
            others=params.others,
            reference=params.reference,
            told=params.told,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
