# Layer RDMs and perception codes of the digits studies: what layers tell apart, and people may.
#
# In: <results>/<study>/models/vgg.safetensors and the compared images; codes of the config.
# Out: <results>/<study>/features/rdms/model_vgg.h5 and model_codes.h5, over the categories in the
# order of the config, from which the stage features takes those that a study of `rsa` compares.
# Tables: code_cosines.csv (each code with each layer), code_fit_layers.csv and code_fit_brains.csv
# (contrasts of codes fitted together), the shares of variance beside them, code_fit_group.csv.


include: "codes_functions.smk"


rule compute_layer_rdms:
    """Compute the RDM over categories of every layer of the trained network."""
    input:
        network="<results>/{study}/models/vgg.safetensors",
        images=compared_images,
    output:
        "<results>/{study}/features/rdms/model_vgg.h5",
    log:
        "<logs>/{study}/features/model_vgg.log",
    benchmark:
        "<benchmarks>/{study}/features/model_vgg.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=layers_mb,
        runtime=minutes(60),
        gpu=1,
    params:
        categories=digits_setting("categories"),
        part=compared_part,
        variance=digits_setting("layer_rdms", "variance"),
        metric=digits_setting("layer_rdms", "metric"),
        code=script_digest("digits/codes/compute_layer_rdms.py"),
    script:
        "../../../../scripts/digits/codes/compute_layer_rdms.py"


rule compute_codes:
    """Compute the RDM of every perception code of the config."""
    output:
        "<results>/{study}/features/rdms/model_codes.h5",
    log:
        "<logs>/{study}/features/model_codes.log",
    benchmark:
        "<benchmarks>/{study}/features/model_codes.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        codes=digits_setting("codes"),
        categories=digits_setting("categories"),
        groups=digits_setting("groups"),
        code=script_digest("digits/codes/compute_codes.py"),
    script:
        "../../../../scripts/digits/codes/compute_codes.py"


rule compare_codes:
    """Compare every code with every layer: cosine with its null, Pearson, tests and intervals."""
    input:
        layers="<results>/{study}/features/rdms/model_vgg.h5",
        codes="<results>/{study}/features/rdms/model_codes.h5",
    output:
        report(
            "<results>/{study}/tables/code_cosines.csv",
            caption="../../../report/code_cosines_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "codes and layers"},
        ),
    log:
        "<logs>/{study}/tables/code_cosines.log",
    benchmark:
        "<benchmarks>/{study}/tables/code_cosines.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(40),
        runtime=minutes(20),
    params:
        n_permutations=digits_setting("code_tests", "n_permutations"),
        n_resamples=digits_setting("code_tests", "n_bootstrap"),
        seed=config["seed"],
        code=script_digest("digits/codes/compare_codes.py"),
    script:
        "../../../../scripts/digits/codes/compare_codes.py"


rule fit_codes_to_layers:
    """Fit contrasts of codes together to every layer's RDM."""
    input:
        rdms=["<results>/{study}/features/rdms/model_vgg.h5"],
        codes="<results>/{study}/features/rdms/model_codes.h5",
    output:
        table=report(
            "<results>/{study}/tables/code_fit_layers.csv",
            caption="../../../report/code_fit_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "joint fit of codes, layers"},
        ),
        partition=report(
            "<results>/{study}/tables/code_partition_layers.csv",
            caption="../../../report/code_partition_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "shares of codes, layers"},
        ),
    log:
        "<logs>/{study}/tables/code_fit_layers.log",
    benchmark:
        "<benchmarks>/{study}/tables/code_fit_layers.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(40),
        runtime=minutes(20),
    params:
        contrasts=digits_setting("contrasts"),
        categories=digits_setting("categories"),
        n_permutations=digits_setting("code_tests", "n_permutations"),
        n_resamples=digits_setting("code_tests", "n_bootstrap"),
        seed=config["seed"],
        code=script_digest("digits/codes/fit_codes.py"),
    script:
        "../../../../scripts/digits/codes/fit_codes.py"


use rule fit_codes_to_layers as fit_codes_to_brains with:
    input:
        rdms=subject_files("rdms/brain_{subject}.h5", joint=False),
        codes="<results>/{study}/rdms/model_codes.h5",
    output:
        table=report(
            "<results>/{study}/tables/code_fit_brains.csv",
            caption="../../../report/code_fit_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "joint fit of codes, regions"},
        ),
        partition=report(
            "<results>/{study}/tables/code_partition_brains.csv",
            caption="../../../report/code_partition_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "shares of codes, regions"},
        ),
        group=report(
            "<results>/{study}/tables/code_fit_group.csv",
            caption="../../../report/code_group_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "joint fit of codes, group"},
        ),
    log:
        "<logs>/{study}/tables/code_fit_brains.log",
    benchmark:
        "<benchmarks>/{study}/tables/code_fit_brains.tsv"
    wildcard_constraints:
        study=DIGIT_BRAINS,


rule plot_layer_rdms:
    """Draw the RDMs of all layers, on one scale or each on its own."""
    input:
        "<results>/{study}/features/rdms/model_vgg.h5",
    output:
        **figure_files("layer_rdms_{scaling}", "Layers", figure="layer RDMs", colours="{scaling}"),
    log:
        "<logs>/{study}/figures/layer_rdms_{scaling}.log",
    benchmark:
        "<benchmarks>/{study}/figures/layer_rdms_{scaling}.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
        scaling="common|own",
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("digits/figures/plot_layer_rdms.py"),
    script:
        "../../../../scripts/digits/figures/plot_layer_rdms.py"


rule plot_codes:
    """Draw the RDMs of all codes."""
    input:
        "<results>/{study}/features/rdms/model_codes.h5",
    output:
        **figure_files("codes", "Codes", figure="codes"),
    log:
        "<logs>/{study}/figures/codes.log",
    benchmark:
        "<benchmarks>/{study}/figures/codes.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        # Codes are rules of the config, simulated data or not.
        simulated=False,
        code=script_digest("digits/figures/plot_codes.py"),
    script:
        "../../../../scripts/digits/figures/plot_codes.py"


rule plot_code_cosines:
    """Draw how much every layer resembles every code, beside what no structure scores."""
    input:
        table="<results>/{study}/tables/code_cosines.csv",
        layers="<results>/{study}/features/rdms/model_vgg.h5",
    output:
        **figure_files("code_cosines", "Codes", figure="codes and layers"),
    log:
        "<logs>/{study}/figures/code_cosines.log",
    benchmark:
        "<benchmarks>/{study}/figures/code_cosines.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        alpha=digits_setting("code_tests", "alpha"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("digits/figures/plot_code_cosines.py"),
    script:
        "../../../../scripts/digits/figures/plot_code_cosines.py"


rule plot_code_fit:
    """Draw the joint fit of codes to layers."""
    input:
        table="<results>/{study}/tables/code_fit_layers.csv",
    output:
        **figure_files("code_fit_layers", "Codes", figure="joint fit, layers"),
    log:
        "<logs>/{study}/figures/code_fit_layers.log",
    benchmark:
        "<benchmarks>/{study}/figures/code_fit_layers.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        alpha=digits_setting("code_tests", "alpha"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("digits/figures/plot_code_fit.py"),
    script:
        "../../../../scripts/digits/figures/plot_code_fit.py"


use rule plot_code_fit as plot_code_fit_of_brains with:
    input:
        table="<results>/{study}/tables/code_fit_brains.csv",
        group="<results>/{study}/tables/code_fit_group.csv",
    output:
        **figure_files("code_fit_brains", "Codes", figure="joint fit, regions"),
    log:
        "<logs>/{study}/figures/code_fit_brains.log",
    benchmark:
        "<benchmarks>/{study}/figures/code_fit_brains.tsv"
    wildcard_constraints:
        study=DIGIT_BRAINS,
