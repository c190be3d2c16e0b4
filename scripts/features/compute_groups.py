"""Compute the RDM of the control model `groups`: 0 within and 1 between groups of images."""

from workflow.lib.image_groups import group_features, group_rdm
from workflow.lib.jobs import script_job
from workflow.lib.rdms.gram_store import gram_writer, standardised_gram
from workflow.lib.rdms.store import write_rdms
from workflow.lib.tables import read_table

LAYER = "groups"


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        names, groups = list(images["name"]), list(images["group"])
        model = snakemake.wildcards.model
        if snakemake.output.get("grams"):
            with gram_writer(snakemake.output.grams, names=names, model=model) as write_gram:
                write_gram({"layer": LAYER}, standardised_gram(group_features(groups)))
        write_rdms(
            snakemake.output.rdms,
            [({"layer": LAYER}, group_rdm(groups))],
            names=names,
            groups=groups,
            measure="0 within, 1 between groups",
            descriptors={"study": snakemake.wildcards.study, "model": model},
        )
