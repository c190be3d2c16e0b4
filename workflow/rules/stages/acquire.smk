# Acquire: raw files, exactly as published.
#
# In:  the registry of raw data (config/datasets.yaml) and, where there is one, a mirror folder
#      that already holds files under the same names.
# Out: <resources>/<dataset>/<path>, verified against what the registry knows of it, and its
#      sha256 beside it. No later rule changes these files.
#
# Simulated files lie under <resources>/simulated/ and are made by rules of their own; the registry
# cannot have a dataset of that name.


rule acquire_file:
    """Copy one raw file from the mirror, or download it, and verify it."""
    output:
        file="<resources>/{dataset}/{file}",
        checksum="<resources>/{dataset}/{file}.sha256",
    log:
        "<logs>/acquire/{dataset}/{file}.log",
    wildcard_constraints:
        # No other folder of <resources> belongs to this rule, <resources>/simulated least of all.
        dataset=one_of(DATASETS),
        # Otherwise a checksum could itself be taken for a raw file.
        file=r".+(?<!\.sha256)",
    # The nodes of a cluster often have no way to the internet.
    localrule: True
    conda:
        "../../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=720,
    params:
        dataset="{dataset}",
        file="{file}",
        # Functions of `threads` are no part of what Snakemake compares with the last run: the same
        # file from another place is the same file, and must not be fetched again.
        datasets_file=lambda wildcards, threads: str(DATASETS_FILE),
        mirror=lambda wildcards, threads: config["mirror"],
        may_download=lambda wildcards, threads: wildcards.dataset not in MIRROR_ONLY,
        # Nor does an edit of the library make gigabytes come again.
        code=lambda wildcards, threads: script_digest("acquire/acquire_file.py"),
    script:
        "../../../scripts/acquire/acquire_file.py"
