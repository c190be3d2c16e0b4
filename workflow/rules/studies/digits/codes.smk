# Layer RDMs and perception codes of the digits studies: what layers tell apart, and people may.
#
# In: <results>/<study>/models/vgg.safetensors and the compared images; codes of the config.
# Out: <results>/<study>/features/rdms/model_vgg.h5 and model_codes.h5, over the categories in the
# order of the config, from which the stage features takes those that a study of `rsa` compares.


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
        mem_mb=4000,
        runtime=60,
        gpu=1,
    params:
        categories=digits_setting("categories"),
        part=compared_part,
        variance=digits_setting("layer_rdms", "variance"),
        metric=digits_setting("layer_rdms", "metric"),
        code=script_digest("digits/compute_layer_rdms.py"),
    script:
        "../../../../scripts/digits/compute_layer_rdms.py"


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
        mem_mb=1000,
        runtime=10,
    params:
        codes=digits_setting("codes"),
        categories=digits_setting("categories"),
        groups=digits_setting("groups"),
        code=script_digest("digits/compute_codes.py"),
    script:
        "../../../../scripts/digits/compute_codes.py"
