# Stage features: stimuli -> RDMs of networks and control models, and what encoding needs of them.
#
# In: the stimuli of a study, weights, activations that were computed elsewhere, the common images.
# Out: <results>/<study>/features/rdms/model_<model>.h5 over the stimuli (a row per layer, and per
# seed of an untrained network), and of it <results>/<study>/rdms/model_<model>.h5 over the common
# images (models with `made: true` come from rules of the study itself); for studies of patterns
# also <results>/<study>/features/grams/model_<model>.h5, the Gram matrix of every layer. One job
# serves all layers of a network.
#
# Models see all stimuli, so that what changes the common images (another file, another
# `min_common`) extracts nothing again; `shown_images` says where they see the common ones alone.


rule extract_network:
    """Show the stimuli to a network, and compute the RDM of every layer from its activations."""
    input:
        stimuli=stimulus_raw_files,
        weights=model_weights,
        images=shown_images,
    output:
        rdms="<results>/{study}/features/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/features/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/features/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_model("network", data="rdms"),
    conda:
        "../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(0, at_least=4000),
        runtime=minutes(240),
        gpu=1,
    params:
        model=model_block(
            "network",
            "weights",
            "seeds",
            "layers",
            "pooling",
            "standardise_units",
            "metric",
            "batch_size",
            "precision",
        ),
        stimuli=stimuli_source,
        match=setting("images", "match"),
        folder=raw_folder_of,
        seed=seed_of_untrained,
        code=script_digest("features/extract_network.py"),
    script:
        "../../../scripts/features/extract_network.py"


use rule extract_network as extract_network_with_grams with:
    output:
        rdms="<results>/{study}/features/rdms/model_{model}.h5",
        grams="<results>/{study}/features/grams/model_{model}.h5",
    wildcard_constraints:
        study=studies_with_model("network", data="patterns"),


rule compute_control:
    """Compute the RDM of a control model over the stimuli: pixels, Gabor energy or colours."""
    input:
        stimuli=stimulus_raw_files,
        images=shown_images,
    output:
        rdms="<results>/{study}/features/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/features/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/features/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_model("control", data="rdms"),
    conda:
        "../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4),
        runtime=minutes(60),
    params:
        control=lambda wildcards: model_block("control")(wildcards)["control"],
        options=control_options,
        metric=lambda wildcards: model_block("metric")(wildcards)["metric"],
        stimuli=stimuli_source,
        match=setting("images", "match"),
        folder=raw_folder_of,
        code=script_digest("features/compute_control.py"),
    script:
        "../../../scripts/features/compute_control.py"


use rule compute_control as compute_control_with_grams with:
    output:
        rdms="<results>/{study}/features/rdms/model_{model}.h5",
        grams="<results>/{study}/features/grams/model_{model}.h5",
    wildcard_constraints:
        study=studies_with_model("control", data="patterns"),


rule compute_feature_rdms:
    """Compute the RDM of every layer from activations that were computed elsewhere."""
    input:
        raw=model_raw_files,
        images="<results>/{study}/rdms/images.csv",
    output:
        rdms="<results>/{study}/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/rdms/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_model("features", data="rdms"),
    conda:
        "../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(2, at_least=2000),
        runtime=minutes(60),
    params:
        model=model_block("metric", "standardise_units"),
        source=source_of_model,
        match=setting("images", "match"),
        folder=raw_folder_of,
        code=script_digest("features/compute_feature_rdms.py"),
    script:
        "../../../scripts/features/compute_feature_rdms.py"


use rule compute_feature_rdms as compute_feature_rdms_with_grams with:
    output:
        rdms="<results>/{study}/rdms/model_{model}.h5",
        grams="<results>/{study}/features/grams/model_{model}.h5",
    wildcard_constraints:
        study=studies_with_model("features", data="patterns"),


rule select_images:
    """Take the common images out of a model's RDMs over the stimuli."""
    input:
        rdms="<results>/{study}/features/rdms/model_{model}.h5",
        images="<results>/{study}/rdms/images.csv",
    output:
        "<results>/{study}/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/rdms/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_model("network", "control", "made"),
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(1),
        runtime=minutes(30),
    params:
        match=setting("images", "match"),
        layers=made_layers,
        code=script_digest("features/select_images.py"),
    script:
        "../../../scripts/features/select_images.py"


rule compute_groups:
    """Compute the RDM of the control model `groups`: 0 within and 1 between groups of images."""
    input:
        images="<results>/{study}/rdms/images.csv",
    output:
        rdms="<results>/{study}/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/rdms/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_model("groups", data="rdms"),
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        code=script_digest("features/compute_groups.py"),
    script:
        "../../../scripts/features/compute_groups.py"


use rule compute_groups as compute_groups_with_grams with:
    output:
        rdms="<results>/{study}/rdms/model_{model}.h5",
        grams="<results>/{study}/features/grams/model_{model}.h5",
    wildcard_constraints:
        study=studies_with_model("groups", data="patterns"),
