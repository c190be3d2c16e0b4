# Stage rdms: raw RDM files in any format and order -> aligned rsatoolbox HDF5.
#
# In: the raw files of a study, as its config block describes them; of patterns of responses those
# that stage patterns has prepared, <results>/<study>/patterns/.
# Out: <results>/<study>/rdms/ with images.csv (the common images, in the order of every RDM of
# the study), one file per subject (ROIs x sessions), their joint RDM, one file per model (layers).


rule align_images:
    """Find the images that all files of a study share, and their common order."""
    input:
        brain=brain_raw_files,
        models=model_raw_files,
        stimuli=stimulus_raw_files,
        group_table=group_table,
    output:
        images="<results>/{study}/rdms/images.csv",
        unmatched="<results>/{study}/rdms/unmatched_images.csv",
    log:
        "<logs>/{study}/rdms/align_images.log",
    benchmark:
        "<benchmarks>/{study}/rdms/align_images.tsv"
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        brain=brain_source,
        models=model_sources,
        stimuli=stimuli_source,
        images=setting("images"),
        folder=raw_folder_of,
        made=lambda wildcards: made_conditions(config, wildcards.study),
        code=script_digest("rdms/align_images.py"),
    script:
        "../../../scripts/rdms/align_images.py"


rule import_brain_rdms:
    """Bring one subject's RDMs into the common order, averaging sessions."""
    input:
        raw=brain_raw_files,
        images="<results>/{study}/rdms/images.csv",
    output:
        "<results>/{study}/rdms/brain_{subject}.h5",
    log:
        "<logs>/{study}/rdms/brain_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/brain_{subject}.tsv"
    wildcard_constraints:
        study=studies_with("rdms"),
        subject=one_of(SUBJECTS),
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0.5),
        runtime=minutes(30),
    params:
        source=brain_source,
        match=setting("images", "match"),
        folder=raw_folder_of,
        code=script_digest("rdms/import_brain_rdms.py"),
    script:
        "../../../scripts/rdms/import_brain_rdms.py"


rule compute_brain_rdms:
    """Compute one subject's RDMs from response patterns, in the common order of images."""
    input:
        patterns="<results>/{study}/patterns/brain_{subject}.h5",
        images="<results>/{study}/rdms/images.csv",
    output:
        "<results>/{study}/rdms/brain_{subject}.h5",
    log:
        "<logs>/{study}/rdms/brain_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/brain_{subject}.tsv"
    wildcard_constraints:
        study=studies_with("patterns"),
        subject=one_of(SUBJECTS),
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(8),
        runtime=minutes(60),
    params:
        metric=setting("brain", "metric"),
        noise_normalisation=setting("brain", "noise_normalisation"),
        match=setting("images", "match"),
        code=script_digest("rdms/compute_brain_rdms.py"),
    script:
        "../../../scripts/rdms/compute_brain_rdms.py"


rule import_model_rdms:
    """Bring one model's RDMs into the common order."""
    input:
        raw=model_raw_files,
        images="<results>/{study}/rdms/images.csv",
    output:
        "<results>/{study}/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/rdms/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_model("files"),
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0.5),
        runtime=minutes(30),
    params:
        source=source_of_model,
        match=setting("images", "match"),
        folder=raw_folder_of,
        code=script_digest("rdms/import_model_rdms.py"),
    script:
        "../../../scripts/rdms/import_model_rdms.py"


rule average_subjects:
    """Average the subjects' RDMs into a joint one."""
    input:
        lambda wildcards: expand(
            "<results>/{study}/rdms/brain_{subject}.h5",
            study=wildcards.study,
            subject=study_subjects(wildcards.study, joint=False),
        ),
    output:
        f"<results>/{{study}}/rdms/brain_{JOINT_SUBJECT}.h5",
    log:
        "<logs>/{study}/rdms/average_subjects.log",
    benchmark:
        "<benchmarks>/{study}/rdms/average_subjects.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0.5),
        runtime=minutes(30),
    params:
        method=setting("joint"),
        code=script_digest("rdms/average_subjects.py"),
    script:
        "../../../scripts/rdms/average_subjects.py"
