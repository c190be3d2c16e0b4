"""Fit a model of pairs to a subject's RDMs, and test it on pairs of seen and of unseen images.

snakemake --cores 1 results/demo/scenes/tables/pair_scores_subj01_ridge.csv
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scripts.dissimilarity.algonauts import Algonauts2023
from scripts.dissimilarity.brain_rdms import fold_rdms
from scripts.dissimilarity.embeddings import read_embedding
from scripts.dissimilarity.finished_fits import HISTORY, FinishedFits
from scripts.dissimilarity.joined import named_embeddings
from scripts.dissimilarity.pair_fits import OF_FIT, SCORES, Settings, fit_pair_model
from scripts.dissimilarity.pair_folds import subject_folds
from scripts.dissimilarity.pair_images import read_pair_images
from scripts.dissimilarity.pair_items import Subject
from scripts.dissimilarity.pair_predictions import prediction_file
from workflow.lib.files import sha256_of
from workflow.lib.jobs import script_job
from workflow.lib.tables import write_table


def _written(tables: Sequence[pd.DataFrame], columns: Sequence[str], path: str) -> None:
    """Write tables as one, with all columns even where nothing was applicable."""
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    write_table(table.reindex(columns=list(columns)), path)


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
        subject = Subject(
            study=snakemake.wildcards.study,
            name=snakemake.wildcards.subject,
            images=read_pair_images(inputs.images),
            embeddings=named_embeddings(
                params.embeddings,
                {single.name: single for single in map(read_embedding, inputs.embeddings)},
            ),
            challenge=params.folder and Algonauts2023(params.folder, snakemake.wildcards.subject),
            rois=params.rois,
        )
        block, splits = params.model, params.splits
        settings = Settings(
            model=snakemake.wildcards.model,
            kind=block["kind"],
            variants={
                name: {**block["options"], **options}
                for name, options in (block["variants"] or {"": {}}).items()
            },
            n_training_images=splits["n_training_images"] if block["training_size"] else (),
            n_components=params.n_components,
            n_bootstrap=params.inference["n_bootstrap"],
            n_permutations=params.inference["n_permutations"],
            seed=params.seed,
            shuffled=block["shuffled"],
            n_gpus=snakemake.resources.get("gpu", 0),
            labels=params.labels,
            deal=splits["leaked"],
        )
        folds = subject_folds(
            subject.images,
            splits,
            study=subject.study,
            subject=subject.name,
            seed=params.seed,
            leaked=True,
        )
        # Snakemake deletes what a killed job has put out, but knows nothing of this folder.
        finished = FinishedFits(
            Path(outputs.predictions).with_suffix(".fits"),
            key=repr((settings, splits, params.code))
            + "".join(map(sha256_of, [inputs.rdms, inputs.images, *inputs.embeddings])),
        )
        rdms = (rdm for rdm in fold_rdms(inputs.rdms, params.rois) if rdm.metric in params.metrics)
        with prediction_file(
            outputs.predictions, subject.images.names, subject=subject.name, model=settings.model
        ) as predictions:
            results = fit_pair_model(
                subject, rdms, folds, settings, predictions=predictions, finished=finished
            )
        _written(results.scores, SCORES, outputs.scores)
        _written(results.histories, (*OF_FIT, "split", "fold", *HISTORY), outputs.history)
        finished.remove()
