"""Write a page in which hovering over an RDM cell or a pair of images shows which two they are."""

import base64
import html
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from plotly.offline import get_plotlyjs

from workflow.lib.features.stimuli import Stimuli, common_stimuli
from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.rsa.tables import mean_session_rows, similarity_matrix
from workflow.lib.tables import read_table

# More images than this make a page that browsers redraw slowly.
MAX_IMAGES = 200
THUMBNAIL_PIXELS = 76


def explorer_page(
    template: str,
    table: pd.DataFrame,
    brain: RDMStore,
    models: Sequence[RDMStore],
    labels: Sequence[str],
    stimuli: Stimuli | None,
    *,
    title: str,
    simulated: bool,
    called: str,
) -> str:
    """Return the page, complete with data and plotly.

    Parameters
    ----------
    template : text of workflow/report/explorer.html
    table : rows of `rsa_<subject>.csv` of one comparator, mean over sessions
    brain : RDMs of the same subject
    models : RDMs of every model
    labels : n_images names as people know them
    stimuli : the images themselves, if there are any
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    """
    check_same_images([brain, *models])
    shown = shown_images(brain.groups)
    heading = f"{title}{' (simulated data)' if simulated else ''}: RDM explorer"
    pictures = [thumbnail(stimuli.image(i)) for i in shown.tolist()] if stimuli else []
    names = {"called": called, "labels": [labels[i] for i in shown], "thumbnails": pictures}
    data = names | _numbers(table, brain, models, shown)
    replacements = {
        "__TITLE__": html.escape(heading),
        "__NOTE__": html.escape(_note(len(shown), brain.n_images, called)),
        "__CALLED__": html.escape(called),
        # A label that holds </script> must not end the data.
        "__DATA__": json.dumps(data).replace("</", "<\\/"),
        "__PLOTLY__": get_plotlyjs(),
    }
    for mark, text in replacements.items():
        template = template.replace(mark, text)
    return template


def _numbers(
    table: pd.DataFrame, brain: RDMStore, models: Sequence[RDMStore], shown: np.ndarray
) -> dict:
    """Return similarities of all images, and the RDMs and groups of those shown."""
    matrix = similarity_matrix(table)
    rows = {
        "brain": [(brain, row) for row in brain.mean_session_rows().values()],
        "model": [(model, row) for model in models for row in model.first_rows("layer").values()],
    }
    return {
        "groups": [brain.groups[i] for i in shown],
        "rois": list(matrix.index),
        "layers": list(matrix.columns),
        "similarity": np.round(matrix.to_numpy(), 6).tolist(),
        "comparator": table["comparator"].iloc[0],
        **{
            side: [_encoded(take_conditions(store.vector(row), shown)) for store, row in places]
            for side, places in rows.items()
        },
    }


def _note(n_shown: int, n_images: int, called: str) -> str:
    if n_shown == n_images:
        return f"{n_shown} {called}, sorted by group."
    return (
        f"{n_shown} of {n_images:,} {called}, spread evenly over the groups; the table is computed "
        "from all."
    )


def shown_images(groups: Sequence[str]) -> np.ndarray:
    """Return positions of at most MAX_IMAGES images, sorted by group and spread over all."""
    order = np.argsort(np.unique(groups, return_inverse=True)[1], kind="stable")
    if len(order) <= MAX_IMAGES:
        return order
    return order[np.linspace(0, len(order) - 1, MAX_IMAGES).round().astype(int)]


def _encoded(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def thumbnail(image: Image.Image) -> str:
    """Return a PIL image as a small JPEG in base64."""
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    with script_job(snakemake):
        table = read_table(snakemake.input.table)
        images = read_table(snakemake.input.images)
        stimuli = None
        if snakemake.params.stimuli:
            stimuli = common_stimuli(
                Path(snakemake.params.folder),
                snakemake.params.stimuli,
                list(images["name"]),
                snakemake.params.match,
            )
        page = explorer_page(
            Path(snakemake.input.template).read_text(encoding="utf-8"),
            mean_session_rows(table, snakemake.params.comparator),
            RDMStore(snakemake.input.brain),
            [RDMStore(path) for path in snakemake.input.models],
            list(images["label"]),
            stimuli,
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
        )
        with written_whole(snakemake.output[0]) as temporary:
            temporary.write_text(page, encoding="utf-8")
