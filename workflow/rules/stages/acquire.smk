# Acquire: raw files, exactly as published.
#
# In:  the registry of raw data (config/datasets.yaml) and, where there is one, a mirror folder
#      that already holds files under the same names.
# Out: <resources>/<dataset>/<path>, verified against what the registry knows of it, and its
#      sha256 beside it. No later rule changes these files.
#
# A family of small files (the 92 images of a study) comes whole, by one job; any other file by a
# job of its own. What is published in an archive is unpacked beside it; what the registry says is
# made out of another file (NIfTI out of an array) is made by a rule of its study. Simulated files
# lie under <resources>/simulated/ and are made by rules of their own; the registry cannot have a
# dataset of that name. What is given only after registration must be there: no rule writes it.


include: "acquire_functions.smk"


rule acquire_file:
    """Copy one raw file from the mirror, or download it, and verify it."""
    output:
        file="<resources>/{dataset}/{file}",
        checksum="<resources>/{dataset}/{file}.sha256",
    log:
        "<logs>/acquire/{dataset}/{file}.log",
    benchmark:
        "<benchmarks>/acquire/{dataset}/{file}.tsv"
    wildcard_constraints:
        # No other folder of <resources> belongs to this rule, <resources>/simulated least of all.
        dataset="|".join(map(fetched_alone, ACQUIRED)) or "(?!)",
        # Otherwise a checksum could itself be taken for a raw file.
        file=r".+(?<!\.sha256)",
    # The nodes of a cluster often have no way to the internet.
    localrule: True
    conda:
        "../../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(720),
    params:
        dataset="{dataset}",
        files=lambda wildcards: [wildcards.file],
        resources=unrecorded(RESOURCES),
        datasets_file=unrecorded(str(DATASETS_FILE)),
        mirror=unrecorded(config["mirror"]),
        may_download=lambda wildcards, threads: wildcards.dataset not in MIRROR_ONLY,
        # Nor does an edit of the library make gigabytes come again.
        code=unrecorded(script_digest("acquire/acquire_file.py")),
    script:
        "../../../scripts/acquire/acquire_file.py"


rule unpack_file:
    """Unpack one raw file from the archive that it is published in, and verify it."""
    input:
        archive_of,
    output:
        file="<resources>/{dataset}/{file}",
        checksum="<resources>/{dataset}/{file}.sha256",
    log:
        "<logs>/acquire/{dataset}/{file}.log",
    benchmark:
        "<benchmarks>/acquire/{dataset}/{file}.tsv"
    wildcard_constraints:
        dataset="|".join(map(unpacked, ACQUIRED)) or "(?!)",
        file=r".+(?<!\.sha256)",
    localrule: True
    conda:
        "../../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(60),
    params:
        datasets_file=unrecorded(str(DATASETS_FILE)),
        code=unrecorded(script_digest("acquire/unpack_file.py")),
    script:
        "../../../scripts/acquire/unpack_file.py"


for number, (dataset, files) in enumerate(SMALL_FAMILIES):

    rule:
        name:
            f"acquire_family_{dataset}_{number}"
        output:
            files=[f"<resources>/{dataset}/{file}" for file in files],
            checksums=[f"<resources>/{dataset}/{file}.sha256" for file in files],
        log:
            f"<logs>/acquire/{dataset}/family_{number}.log",
        benchmark:
            f"<benchmarks>/acquire/{dataset}/family_{number}.tsv"
        localrule: True
        conda:
            "../../../envs/download.yaml"
        threads: 1
        resources:
            mem_mb=megabytes(500),
            runtime=minutes(720),
        params:
            dataset=dataset,
            files=files,
            resources=unrecorded(RESOURCES),
            datasets_file=unrecorded(str(DATASETS_FILE)),
            mirror=unrecorded(config["mirror"]),
            may_download=unrecorded(dataset not in MIRROR_ONLY),
            code=unrecorded(script_digest("acquire/acquire_file.py")),
        script:
            "../../../scripts/acquire/acquire_file.py"
