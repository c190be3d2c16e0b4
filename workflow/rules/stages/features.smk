# Stage features: stimuli -> RDMs of networks and control models, and what encoding needs of them.
#
# In: the stimuli of a study, the common images, weights.
# Out: <results>/<study>/rdms/model_<model>.h5 (a row per layer, and per seed of an untrained
# network); for studies of patterns also <results>/<study>/features/model_<model>.h5, the Gram
# matrix of every layer. One job serves all layers of a network.


rule extract_network:
    """Show the stimuli to a network, and compute the RDM of every layer from its activations."""
    input:
        stimuli=stimulus_raw_files,
        weights=model_weights,
        images="<results>/{study}/rdms/images.csv",
    output:
        rdms="<results>/{study}/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/rdms/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_model("network", "rdms"),
    conda:
        "../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(0, at_least=4000),
        runtime=240,
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
        stimuli=setting("stimuli"),
        match=setting("images", "match"),
        folder=raw_folder_of,
        seed=seed_of_untrained,
        code=script_digest("features/extract_network.py"),
    script:
        "../../../scripts/features/extract_network.py"


use rule extract_network as extract_network_with_grams with:
    output:
        rdms="<results>/{study}/rdms/model_{model}.h5",
        grams="<results>/{study}/features/model_{model}.h5",
    wildcard_constraints:
        study=studies_with_model("network", "patterns"),


rule compute_control:
    """Compute the RDM of a control model: pixels, Gabor energy, colours, or groups of images."""
    input:
        stimuli=stimulus_raw_files,
        images="<results>/{study}/rdms/images.csv",
    output:
        rdms="<results>/{study}/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/rdms/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_model("control", "rdms"),
    conda:
        "../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4),
        runtime=60,
    params:
        control=lambda wildcards: model_block("control")(wildcards)["control"],
        metric=lambda wildcards: model_block("metric")(wildcards)["metric"],
        stimuli=setting("stimuli"),
        match=setting("images", "match"),
        folder=raw_folder_of,
        code=script_digest("features/compute_control.py"),
    script:
        "../../../scripts/features/compute_control.py"


use rule compute_control as compute_control_with_grams with:
    output:
        rdms="<results>/{study}/rdms/model_{model}.h5",
        grams="<results>/{study}/features/model_{model}.h5",
    wildcard_constraints:
        study=studies_with_model("control", "patterns"),
