"""Measure how well the observers of a movie agree, emotion by emotion and pair by pair."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from scripts.emotions.labelling.agreement import measure_agreement, shared_rows
from scripts.emotions.labelling.label_rules import label_table
from scripts.emotions.labelling.label_volumes import Choices, read_observed
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table


def agreement_of_observers(
    files: Mapping[str, str | Path],
    *,
    runs: Mapping[str, Mapping[str, float]],
    tr: float,
    labels: Choices,
    n_bootstrap: int,
    seed: int,
    study: str,
    vocabulary: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return how well observers agree over the volumes that are used, and which rows they share.

    Parameters
    ----------
    files, runs, tr, labels, seed, study, vocabulary : see
        `scripts.emotions.labelling.label_volumes.label_volumes`
    n_bootstrap : resamples for the intervals; 0 for none

    Returns
    -------
    DataFrame
        Of `scripts.emotions.labelling.agreement.measure_agreement` and `shared_rows`.

    Raises
    ------
    InputError
        Annotations, runs or labels that cannot be used.
    """
    seen = read_observed(files, runs=runs, tr=tr, labels=labels, vocabulary=vocabulary)
    table = label_table(seen.volumes, seen.marks, seen.names)
    used = table["used"].to_numpy()
    agreement = measure_agreement(
        seen.marks.of_volumes(used),
        table["run"].to_numpy()[used],
        rule=labels.rule,
        min_observers=labels.min_observers,
        tr=tr,
        n_bootstrap=n_bootstrap,
        rng=generator(seed, "emotions", "agreement", study),
    )
    return pd.concat([agreement, shared_rows(seen.annotations)], ignore_index=True)


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = agreement_of_observers(
            dict(zip(params.observers, snakemake.input.annotations, strict=True)),
            runs=params.runs,
            tr=params.tr,
            labels=Choices(**params.labels),
            n_bootstrap=params.n_bootstrap,
            seed=params.seed,
            study=snakemake.wildcards.study,
            vocabulary=params.vocabulary,
        )
        write_table(table, snakemake.output[0])
