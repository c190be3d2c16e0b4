"""Compute one subject's RDMs from response patterns, in the common order of images."""

from workflow.lib.jobs import script_job
from workflow.lib.patterns.rdms import brain_rdms
from workflow.lib.patterns.store import PatternStore
from workflow.lib.rdms.store import write_rdms
from workflow.lib.tables import read_table

if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        metric = snakemake.params.metric
        write_rdms(
            snakemake.output[0],
            brain_rdms(
                PatternStore(snakemake.input.patterns),
                list(images["name"]),
                metric=metric,
                noise_normalisation=snakemake.params.noise_normalisation,
                match=snakemake.params.match,
            ),
            names=list(images["name"]),
            groups=list(images["group"]),
            measure=metric,
            descriptors={
                "study": snakemake.wildcards.study,
                "subject": snakemake.wildcards.subject,
            },
        )
