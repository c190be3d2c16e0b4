"""Compute the RDM of every perception code of the config.

snakemake --cores 1 results/demo/digits/features/rdms/model_codes.h5
"""

from scripts.digits.codes.codes import code_rdms
from scripts.digits.codes.model_names import CODE_MODEL
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import write_rdms

if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        rdms = code_rdms(params.codes, params.categories, params.groups)
        write_rdms(
            snakemake.output[0],
            (({"layer": code}, rdm) for code, rdm in rdms.items()),
            names=[category for members in params.categories.values() for category in members],
            groups=[kind for kind, members in params.categories.items() for _ in members],
            measure="0 alike, 1 told apart",
            descriptors={"study": snakemake.wildcards.study, "model": CODE_MODEL},
        )
