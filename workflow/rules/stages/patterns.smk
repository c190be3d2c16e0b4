# Stage patterns: raw responses in any format -> prepared patterns.
#
# In: the raw files of a study of patterns, as its config block describes them.
# Out: <results>/<study>/patterns/brain_<subject>.h5 (rsatoolbox Dataset HDF5), every observation of
# every ROI, all conditions included, in the order of the raw files.


rule extract_patterns:
    """Read one subject's response patterns in every ROI, and prepare them."""
    input:
        brain_raw_files,
    output:
        "<results>/{study}/patterns/brain_{subject}.h5",
    log:
        "<logs>/{study}/patterns/brain_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/patterns/brain_{subject}.tsv"
    wildcard_constraints:
        study=studies_with("patterns"),
        subject=one_of(SUBJECTS),
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4),
        runtime=minutes(60),
    params:
        source=brain_source,
        detrend=setting("brain", "detrend"),
        standardise=setting("brain", "standardise"),
        remove_mean_pattern=setting("brain", "remove_mean_pattern"),
        match=setting("images", "match"),
        folder=raw_folder_of,
        code=script_digest("patterns/extract_patterns.py"),
    script:
        "../../../scripts/patterns/extract_patterns.py"
