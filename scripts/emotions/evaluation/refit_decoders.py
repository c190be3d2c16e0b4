"""Fit a linear decoder to labels that are shifted along the movie: a null for every split.

snakemake --cores 1 results/full/studyforrest/models/refits_logistic.csv
"""

from collections.abc import Sequence

import pandas as pd

from scripts.emotions.decoding.decode_emotions import Settings, predict_split, read_job
from scripts.emotions.decoding.decoder_features import Confounds, Responses
from scripts.emotions.evaluation.evaluation import (
    MEASURES,
    Evaluated,
    class_weights,
    draw_shifts,
    min_volumes,
)
from scripts.emotions.labelling.labels import Labels, shifted
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

COLUMNS = ("study", "model", "split", "refit", "measure", "value")


def refit_decoders(
    labels: Labels,
    subjects: Sequence[str],
    features: Responses | Confounds,
    settings: Settings,
    *,
    n_refits: int,
    min_shift: int,
) -> pd.DataFrame:
    """Return the scores of decoders that were fitted and tested with labels shifted in each run.

    Such labels are as slow as the real ones, and leak as they do, but are not what was seen. So the
    scores are a null for every split, leaked ones too: what memory alone brings.

    Parameters
    ----------
    labels, subjects, features, settings : see
        `scripts.emotions.decoding.decode_emotions.decode_emotions`
    n_refits : int
        Fits.
    min_shift : int
        Fewest volumes of a shift.

    Returns
    -------
    DataFrame, a row per split, refit and measure
        study, model, split, refit, measure, value.
    """
    rng = generator(settings.seed, "emotions", "refits", settings.study)
    shifts = draw_shifts(labels, n_refits, fewest=min_shift, rng=rng)
    rows = []
    for refit, by in enumerate(shifts):
        moved = shifted(labels, dict(zip(labels.runs, by.tolist(), strict=True)))
        weights = class_weights(moved.codes[None], len(labels.classes))
        for split in settings.splits:
            found = predict_split(moved, subjects, features, settings, split)
            scores = Evaluated(found, moved).scores(weights)
            rows += [
                (settings.study, settings.model, split, refit, name, getattr(scores, name)[0])
                for name in MEASURES
            ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = refit_decoders(
            *read_job(snakemake),
            n_refits=params.n_refits,
            min_shift=min_volumes(params.min_shift, params.tr),
        )
        write_table(table, snakemake.output[0])
