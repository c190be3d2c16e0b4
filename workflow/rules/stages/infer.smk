# Stage infer: aligned RDMs and resampled similarities -> what follows about layers and subjects.
#
# In: <results>/<study>/rdms/ and, from stage compare, <results>/<study>/draws/.
# Out: <results>/<study>/tables/ with layers_<subject>.csv (a row per ROI and layer: its chance of
# being the best, its distance from the ceiling, the interaction with the ROI),
# layer_differences_<subject>.csv, layer_centre_<subject>.csv, held_out_<subject>.csv (best layer
# and mixture of layers, on images that did not choose them), held_out_group.csv (the same on
# subjects that did not either), rsa_group.csv (over subjects); where the config names `controls`,
# partial_<subject>.csv (similarities with these models taken out), and where it names a
# `partition`, variance_partition.csv (what models explain alone and in common).


rule infer_layers:
    """Infer from one subject's resamples which layers differ, which is best, and where they lie."""
    input:
        draws="<results>/{study}/draws/rsa_{subject}.h5",
        ceiling=of_several_subjects("draws/noise_ceiling.h5"),
    output:
        layers="<results>/{study}/tables/layers_{subject}.csv",
        differences="<results>/{study}/tables/layer_differences_{subject}.csv",
        centre="<results>/{study}/tables/layer_centre_{subject}.csv",
    log:
        "<logs>/{study}/tables/layers_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/tables/layers_{subject}.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(20),
    params:
        ordered=lambda wildcards: ordered_models(wildcards.study),
        code=script_digest("infer/infer_layers.py"),
    script:
        "../../../scripts/infer/infer_layers.py"


rule infer_group:
    """Infer over subjects and images: two-factor intervals, sign-flips, distance from ceiling."""
    input:
        draws=subject_files("draws/rsa_{subject}.h5", joint=False),
        ceiling=of_several_subjects("draws/noise_ceiling.h5"),
    output:
        report(
            "<results>/{study}/tables/rsa_group.csv",
            caption="../../report/group_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "group inference"},
        ),
    log:
        "<logs>/{study}/tables/rsa_group.log",
    benchmark:
        "<benchmarks>/{study}/tables/rsa_group.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(20),
    params:
        seed=config["seed"],
        code=script_digest("infer/infer_group.py"),
    script:
        "../../../scripts/infer/infer_group.py"


rule cross_validate_layers:
    """Try the best layer, and a mixture of layers, on images that did not choose them."""
    input:
        brain="<results>/{study}/rdms/brain_{subject}.h5",
        models=model_rdms,
    output:
        "<results>/{study}/tables/held_out_{subject}.csv",
    log:
        "<logs>/{study}/tables/held_out_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/tables/held_out_{subject}.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(5),
        runtime=minutes(60),
    params:
        comparator=first_comparator,
        n_folds=setting("inference", "cross_validation"),
        resample=setting("inference", "resample"),
        seed=config["seed"],
        code=script_digest("infer/cross_validate_layers.py"),
    script:
        "../../../scripts/infer/cross_validate_layers.py"


rule cross_validate_group:
    """Try mixtures of layers on subjects and images that did not choose their weights."""
    input:
        brains=subject_files("rdms/brain_{subject}.h5", joint=False),
        models=model_rdms,
    output:
        report(
            "<results>/{study}/tables/held_out_group.csv",
            caption="../../report/held_out_group_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "layers, held out over subjects"},
        ),
    log:
        "<logs>/{study}/tables/held_out_group.log",
    benchmark:
        "<benchmarks>/{study}/tables/held_out_group.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4),
        runtime=minutes(120),
    params:
        comparator=first_comparator,
        n_folds=setting("inference", "cross_validation"),
        resample=setting("inference", "resample"),
        seed=config["seed"],
        # For the caption.
        simulated=is_simulated,
        code=script_digest("infer/cross_validate_group.py"),
    script:
        "../../../scripts/infer/cross_validate_group.py"


rule control_models:
    """Compare layers and ROIs of one subject with the RDMs of control models taken out."""
    input:
        brain="<results>/{study}/rdms/brain_{subject}.h5",
        models=model_rdms,
    output:
        report(
            "<results>/{study}/tables/partial_{subject}.csv",
            caption="../../report/partial_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "controls taken out", "subject": "{subject}"},
        ),
    log:
        "<logs>/{study}/tables/partial_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/tables/partial_{subject}.tsv"
    wildcard_constraints:
        study=studies_that_set("controls"),
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(7),
        runtime=minutes(120),
    params:
        controls=setting("controls"),
        comparators=setting("comparators"),
        n_permutations=setting("inference", "n_permutations"),
        permuted=permuted,
        seed=config["seed"],
        code=script_digest("infer/control_models.py"),
    script:
        "../../../scripts/infer/control_models.py"


rule partition_variance:
    """Share out the variance that models explain of each ROI: what each alone, what in common."""
    input:
        brains=subject_files("rdms/brain_{subject}.h5"),
        models=partitioned_rdms,
    output:
        report(
            "<results>/{study}/tables/variance_partition.csv",
            caption="../../report/partition_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "variance partitioning"},
        ),
    log:
        "<logs>/{study}/tables/variance_partition.log",
    benchmark:
        "<benchmarks>/{study}/tables/variance_partition.tsv"
    wildcard_constraints:
        study=studies_that_set("partition"),
    conda:
        "../../../envs/rsa.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(4),
        runtime=minutes(120),
    params:
        partition=setting("partition"),
        comparators=setting("comparators"),
        n_resamples=setting("inference", "n_bootstrap"),
        n_exact_ranks=setting("inference", "n_exact_ranks"),
        resample=setting("inference", "resample"),
        seed=config["seed"],
        code=script_digest("infer/partition_variance.py"),
    script:
        "../../../scripts/infer/partition_variance.py"
