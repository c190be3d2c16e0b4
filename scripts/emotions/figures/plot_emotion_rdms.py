"""Draw the RDMs of emotions: responses above, what they are compared with below."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.image import AxesImage

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    PAGE_WIDTH,
    SEQUENTIAL,
    subject_label,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rdms.vectors import to_square
from workflow.lib.rsa.comparators import rank

# What panels call the models that stand in every study.
TITLES = {
    "affect": "arousal and valence",
    "co-occurrence": "co-occurrence",
    "runs": "runs (control)",
}
N_COLUMNS = 4


def plot_emotion_rdms(
    brain: RDMStore, models: RDMStore, *, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw the RDMs of one stand-in for all subjects and of the models, and return the caption.

    Parameters
    ----------
    brain : RDMs of subjects and regions; the mean over subjects comes last, where there is one
    models : what they are compared with
    title : name of the study
    simulated : whether the data is simulated
    """
    check_same_images([brain, models])
    subject = brain.labels["subject"][-1]
    panels = [
        (f"brain: {row['roi']}", brain.vector(number))
        for number, row in enumerate(brain.rows())
        if row["subject"] == subject
    ]
    panels += [
        (_model_title(row), models.vector(number)) for number, row in enumerate(models.rows())
    ]
    use_style()
    n_rows = -(-len(panels) // N_COLUMNS)
    figure, axes = plt.subplots(
        n_rows,
        N_COLUMNS,
        figsize=(PAGE_WIDTH, 1.5 * n_rows + 0.9),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for number, (axis, panel) in enumerate(zip(axes.flat, panels, strict=False)):
        image = _draw(axis, *panel, brain.names)
        # The panel below is the last row's, or empty.
        axis.tick_params(labelbottom=number + N_COLUMNS >= len(panels))
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, label="dissimilarity (percentile)")
    figure.suptitle(f"{titled(title, simulated=simulated)}: RDMs of emotions")
    return figure, _caption(brain, models, subject)


def _model_title(row: dict[str, str]) -> str:
    if row["layer"]:
        return f"{row['model']}: {row['layer']}"
    return TITLES.get(row["model"], row["model"])


def _draw(axis: plt.Axes, title: str, vector: np.ndarray, names: list[str]) -> AxesImage:
    percentiles = 100 * rank(vector)[0] / vector.size
    square = to_square(percentiles, len(names))
    np.fill_diagonal(square, np.nan)
    image = axis.imshow(square, cmap=SEQUENTIAL, vmin=0, vmax=100)
    axis.set_title(wrapped([title], 22)[0], fontsize=7.5)
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axis.set_yticks(range(len(names)), names, fontsize=6)
    axis.tick_params(length=0)
    axis.spines[["left", "bottom"]].set_visible(False)
    return image


def _caption(brain: RDMStore, models: RDMStore, subject: str) -> str:
    n_subjects = len({name for name in brain.labels["subject"] if name != subject})
    who = (
        f"means over n = {n_subjects} subjects"
        if n_subjects
        else f"{subject_label(subject)}, a single case"
    )
    layers = [row for row in models.rows() if row["layer"]]
    of_network = (
        f" Layers of {layers[0]['model']}: 1 - Pearson's r between the class means of test "
        "volumes, fold by fold, averaged over folds; not cross-validated, so that rare emotions, "
        "whose means are noisier, lie farther from all."
        if layers
        else ""
    )
    return (
        f"RDMs over n = {brain.n_images} emotions ({brain.n_pairs} pairs); of responses {who}. "
        "Responses: squared distances between mean patterns, cross-validated over runs, in units "
        "of each channel's noise. Arousal and valence: Euclidean distance between the means of "
        "what observers wrote (HIGH and POS 1, LOW and NEG -1). Co-occurrence: 1 - Jaccard of the "
        "numbers of observers who see each emotion over time. Runs, a control: 1 - Jaccard of how "
        f"labelled volumes are spread over runs.{of_network} Colours are percentiles within each "
        "RDM."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_emotion_rdms(
            RDMStore(snakemake.input.brain),
            RDMStore(snakemake.input.models),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
        )
        write_figure(snakemake, figure, caption)
