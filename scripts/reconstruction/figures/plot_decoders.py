"""Draw how well shapes and categories are decoded, by decoder and region.

snakemake --cores 1 results/demo/pictures/figures/decoders_natural.png
"""

from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd

from scripts.reconstruction.evaluation.measure_names import IDENTIFICATION
from scripts.reconstruction.figures.means_panels import draw_means, model_colours
from scripts.reconstruction.figures.reconstruction_labels import (
    INTERVALS,
    generator_label,
    numbers_with_p,
    size_note,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, titled, use_style, write_figure
from workflow.lib.sources import JOINT_SUBJECT, TRAINING
from workflow.lib.tables import read_table

# Of images that were decoded out of fold.
WITHIN_FOLDS = (
    "Images are compared, and change places, with those of their fold alone, from which its models "
    "did not learn; the null is widened by the square root of 2, for folds that learn from one "
    "another (p is a bound). "
)
STREAMS = {"shapes": "shape", "semantics": "category"}


def plot_decoders(
    means: pd.DataFrame,
    *,
    decoders: Mapping[str, Sequence[str]],
    rois: Mapping[str, Mapping[str, str]],
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw decoders of shapes in one row of panels, of categories in another.

    Parameters
    ----------
    means : DataFrame
        Of one part, see `scripts.reconstruction.evaluation.evaluate_decoders`.
    decoders : mapping, "shapes" and "semantics" -> decoders, in the order in which they are drawn
    rois : mapping, "shapes" and "semantics" -> decoder -> what is written of its regions
    title : str
        Name of the study.
    simulated : bool
    """
    use_style()
    rows = {
        what: list(_panels(means[means["what"] == what])) for what in decoders if decoders[what]
    }
    n_columns = max(map(len, rows.values()))
    heights = [0.55 + 0.22 * len(decoders[what]) for what in rows]
    figure, axes = plt.subplots(
        len(rows),
        n_columns,
        figsize=(PAGE_WIDTH, 0.5 + sum(heights)),
        height_ratios=heights,
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for own, (what, panels) in zip(axes, rows.items(), strict=True):
        for axis, (label, table) in zip(own, panels, strict=False):
            draw_means(axis, table, decoders[what], "decoder", model_colours(decoders[what], None))
            axis.set_xlabel(label)
        for axis in own[len(panels) :]:
            axis.set_visible(False)
        own[0].set_yticklabels(
            [f"{generator_label(name)} ({rois[what][name]})" for name in decoders[what]]
        )
        own[0].set_ylabel(what)
    told = " and ".join(STREAMS[what] for what in rows)
    figure.suptitle(f"{titled(title, simulated=simulated)}: decoders of {told}")
    return figure, _caption(means, decoders)


def _panels(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the label and the rows of each panel."""
    for (measure, n_way), rows in table.groupby(["measure", "n_way"], sort=False, dropna=False):
        if measure == IDENTIFICATION:
            yield f"{int(n_way)}-way identification", rows
        elif measure == "pixel_correlation":
            yield "correlation with\nthe true shape (r)", rows
        else:
            yield measure.replace("_", " "), rows


def _caption(means: pd.DataFrame, decoders: Mapping[str, Sequence[str]]) -> str:
    joint = means[means["subject"] == JOINT_SUBJECT]
    told = []
    for what, measure in {"shapes": "pixel_correlation", "semantics": "accuracy"}.items():
        rows = joint[(joint["what"] == what) & (joint["measure"] == measure)].set_index("decoder")
        if decoders.get(what):
            told.append(f"{what} by {numbers_with_p(rows, decoders[what])}")
    within = WITHIN_FOLDS if (means["part"] == TRAINING).all() else ""
    return (
        f"{size_note(means)}. Shapes: correlation of the decoded with the true shape (grey, "
        "without the ground, blurred), and identification of the image by its shape. Categories: "
        "share of images whose cluster is the most probable one, or among the most probable ones. "
        f"Dotted: chance; for categories that of the same answers given to other images. "
        f"{within}{INTERVALS} p by permutation of the images (one-sided, not corrected): "
        f"{'; '.join(told)}."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        means = read_table(snakemake.input.means)
        figure, caption = plot_decoders(
            means[means["part"] == snakemake.wildcards.part],
            decoders=params.decoders,
            rois=params.rois,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
