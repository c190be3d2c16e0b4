"""Fit a model of pairs to a subject's RDMs, and predict pairs of seen and of unseen images.

snakemake --cores 1 results/demo/scenes/predictions/subj01_ridge.h5
"""

from pathlib import Path

import pandas as pd

from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.brain_rdms import fold_rdms
from scripts.dissimilarity.data.pair_images import read_pair_images
from scripts.dissimilarity.embeddings.embeddings import read_embedding
from scripts.dissimilarity.embeddings.joined import named_embeddings
from scripts.dissimilarity.fits.audit_pairs import audit_pairs, refuse_duplicates
from scripts.dissimilarity.fits.finished_fits import FinishedFits
from scripts.dissimilarity.fits.pair_fits import OF_FIT, FitSettings, fit_pair_model
from scripts.dissimilarity.fits.pair_folds import subject_folds
from scripts.dissimilarity.fits.pair_items import Subject
from scripts.dissimilarity.fits.pair_predictions import prediction_file
from workflow.lib.files import sha256_of
from workflow.lib.jobs import script_job
from workflow.lib.tables import write_table
from workflow.lib.training.history import COLUMNS

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
        settings = FitSettings(
            model=snakemake.wildcards.model,
            kind=block["kind"],
            variants={
                name: {**block["options"], **options}
                for name, options in (block["variants"] or {"": {}}).items()
            },
            n_training_images=params.n_training_images,
            n_components=params.n_components,
            seed=params.seed,
            shuffled=block["shuffled"],
            n_gpus=snakemake.resources.get("gpu", 0),
            labels=params.labels,
            deal=splits.get("leaked"),
        )
        folds = subject_folds(
            subject.images,
            splits,
            study=subject.study,
            subject=subject.name,
            seed=params.seed,
            leaked="leaked" in splits,
        )
        # What claims to be clean and is not stops before anything is fitted to it.
        of = {"study": subject.study, "subject": subject.name}
        refuse_duplicates([(subject.name, subject.images, folds)], study=subject.study)
        audit_pairs(
            subject.images,
            folds,
            labels=params.labels,
            n_training_images=params.n_training_images,
            **of,
        )
        # Snakemake deletes what a killed job has put out, but knows nothing of this folder.
        finished = FinishedFits(
            Path(outputs.predictions).with_suffix(".fits"),
            key=repr((settings, splits, params.code))
            + "".join(map(sha256_of, [inputs.rdms, inputs.images, *inputs.embeddings])),
        )
        rdms = (rdm for rdm in fold_rdms(inputs.rdms, params.rois) if rdm.metric in params.metrics)
        of_file = {**of, "model": settings.model, "kind": settings.kind}
        with prediction_file(outputs.predictions, subject.images.names, **of_file) as predictions:
            histories = fit_pair_model(
                subject, rdms, folds, settings, predictions=predictions, finished=finished
            )
        columns = [*OF_FIT, "split", "fold", *COLUMNS]
        # All columns stand even where there is no learning curve.
        history = pd.concat([pd.DataFrame(columns=columns), *histories], ignore_index=True)
        write_table(history, outputs.history)
        finished.remove()
