# The table "original against ours" of the digits studies.
#
# In: the trained network, RDMs of layers and codes, maps and tables of the comparison with brains.
# Out: <results>/<study>/tables/corrections.csv and .html, a row per correction with the original's
# number and ours, both of this study's data.


include: "corrections_functions.smk"


rule measure_training:
    """Measure on the trained network what the original's training gets wrong."""
    input:
        network="<results>/{study}/models/vgg.safetensors",
        history="<results>/{study}/models/vgg_history.csv",
        predictions="<results>/{study}/models/vgg_predictions.csv",
        train=images_of("train"),
        validation=images_of("validation"),
    output:
        "<results>/{study}/tables/corrections_training.csv",
    log:
        "<logs>/{study}/tables/corrections_training.log",
    benchmark:
        "<benchmarks>/{study}/tables/corrections_training.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=3000),
        runtime=minutes(30),
    params:
        coloured=coloured_categories,
        seed=config["seed"],
        code=script_digest("digits/corrections/measure_training.py"),
    script:
        "../../../../scripts/digits/corrections/measure_training.py"


rule measure_signs:
    """Measure what the arbitrary signs of principal components do to the RDMs of layers."""
    input:
        network="<results>/{study}/models/vgg.safetensors",
        images=compared_images,
    output:
        "<results>/{study}/tables/corrections_signs.csv",
    log:
        "<logs>/{study}/tables/corrections_signs.log",
    benchmark:
        "<benchmarks>/{study}/tables/corrections_signs.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=layers_mb,
        runtime=minutes(60),
    params:
        variance=digits_setting("layer_rdms", "variance"),
        metric=digits_setting("layer_rdms", "metric"),
        seed=config["seed"],
        code=script_digest("digits/corrections/measure_signs.py"),
    script:
        "../../../../scripts/digits/corrections/measure_signs.py"


rule measure_group_null:
    """Measure what the original's threshold finds in maps of the group, and in null subjects."""
    input:
        maps=subject_files("maps/similarity_{subject}.nii.gz", joint=False),
        tables=subject_files("tables/searchlight_{subject}.csv", joint=False),
        assignment=assignment_table,
    output:
        "<results>/{study}/tables/corrections_null.csv",
    log:
        "<logs>/{study}/tables/corrections_null.log",
    benchmark:
        "<benchmarks>/{study}/tables/corrections_null.tsv"
    wildcard_constraints:
        study=CODE_ROI_STUDIES,
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(20, at_least=2000),
        runtime=minutes(60),
    params:
        codes=CODE_MODEL,
        layers=NETWORK_MODEL,
        alpha=setting("searchlight", "alpha"),
        seed=config["seed"],
        code=script_digest("digits/corrections/measure_group_null.py"),
    script:
        "../../../../scripts/digits/corrections/measure_group_null.py"


use rule compute_layer_rdms as compute_validation_rdms with:
    input:
        network="<results>/{study}/models/vgg.safetensors",
        images=images_of("validation"),
    output:
        "<results>/{study}/features/rdms/validation_vgg.h5",
    log:
        "<logs>/{study}/features/validation_vgg.log",
    benchmark:
        "<benchmarks>/{study}/features/validation_vgg.tsv"
    params:
        categories=digits_setting("categories"),
        part="validation",
        variance=digits_setting("layer_rdms", "variance"),
        metric=digits_setting("layer_rdms", "metric"),
        code=script_digest("digits/codes/compute_layer_rdms.py"),


rule tabulate_corrections:
    """Set what the original gets wrong beside what stands here, in numbers of this study."""
    input:
        training="<results>/{study}/tables/corrections_training.csv",
        signs="<results>/{study}/tables/corrections_signs.csv",
        layers="<results>/{study}/features/rdms/model_vgg.h5",
        validation=validation_rdms,
        codes="<results>/{study}/features/rdms/model_codes.h5",
        regions=of_code_rois("tables/code_rois_group.csv"),
        clusters=of_code_rois("tables/code_rois_clusters.csv"),
        null=of_code_rois("tables/corrections_null.csv"),
    output:
        table="<results>/{study}/tables/corrections.csv",
        html=report(
            "<results>/{study}/tables/corrections.html",
            caption="../../../report/corrections_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "original against ours"},
        ),
    log:
        "<logs>/{study}/tables/corrections.log",
    benchmark:
        "<benchmarks>/{study}/tables/corrections.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        part=compared_part,
        contrasts=digits_setting("contrasts"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("digits/corrections/tabulate_corrections.py"),
    script:
        "../../../../scripts/digits/corrections/tabulate_corrections.py"
