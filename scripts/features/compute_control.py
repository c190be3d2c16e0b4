"""Compute the RDM of a control model over the stimuli: pixels, Gabor energy or colours."""

from pathlib import Path

from workflow.lib.features.controls import control_features
from workflow.lib.features.stimuli import shown_stimuli
from workflow.lib.jobs import script_job
from workflow.lib.rdms.gram_store import gram_writer, standardised_gram
from workflow.lib.rdms.stimulus_rdms import feature_distances
from workflow.lib.rdms.store import write_rdms

if __name__ == "__main__":
    with script_job(snakemake):
        params, model = snakemake.params, snakemake.wildcards.model
        stimuli = shown_stimuli(
            Path(params.folder), params.stimuli, snakemake.input.images, params.match
        )
        features = control_features(params.control, stimuli, **params.options)
        labels = {"layer": params.control}
        if snakemake.output.get("grams"):
            with gram_writer(
                snakemake.output.grams, names=stimuli.names, model=model
            ) as write_gram:
                write_gram(labels, standardised_gram(features))
        write_rdms(
            snakemake.output.rdms,
            [(labels, feature_distances(features, params.metric))],
            names=stimuli.names,
            measure=params.metric,
            descriptors={"study": snakemake.wildcards.study, "model": model},
            may_have_gaps=True,
        )
