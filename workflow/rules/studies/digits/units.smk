# What units of the trained network look for, and what its layers make of images.
#
# In: <results>/<study>/models/vgg.safetensors and the validation images.
# Out: <results>/<study>/maximised/{classes,filters}.npz, images that drive single units the most;
# tables/maximised.csv, a row per unit; embedding/{grams.h5,items.csv}, from which the stage embed
# maps layers in a plane; figures maximised_classes, maximised_filters.


include: "units_functions.smk"


rule maximise_activations:
    """Find images that drive the class units and some filters of every layer the most."""
    input:
        network="<results>/{study}/models/vgg.safetensors",
        images=images_of("validation"),
    output:
        classes="<results>/{study}/maximised/classes.npz",
        filters="<results>/{study}/maximised/filters.npz",
        table=report(
            "<results>/{study}/tables/maximised.csv",
            caption="../../../report/maximised_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "maximised activations"},
        ),
    log:
        "<logs>/{study}/maximised/units.log",
    benchmark:
        "<benchmarks>/{study}/maximised/units.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=maximisation_mb,
        runtime=minutes(600),
        gpu=1,
    params:
        settings=digits_setting("maximisation"),
        seed=config["seed"],
        code=script_digest("digits/units/maximise_activations.py"),
    script:
        "../../../../scripts/digits/units/maximise_activations.py"


rule plot_maximised:
    """Draw the images that drive class units, or filters layer by layer."""
    input:
        maximised="<results>/{study}/maximised/{units}.npz",
    output:
        **figure_files("maximised_{units}", "Network", figure="maximised {units}"),
    log:
        "<logs>/{study}/figures/maximised_{units}.log",
    benchmark:
        "<benchmarks>/{study}/figures/maximised_{units}.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
        units="classes|filters",
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(20),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("digits/figures/plot_maximised.py"),
    script:
        "../../../../scripts/digits/figures/plot_maximised.py"


rule extract_layer_grams:
    """Show the validation images to the network, and keep the products between them per layer."""
    input:
        network="<results>/{study}/models/vgg.safetensors",
        images=images_of("validation"),
    output:
        grams="<results>/{study}/embedding/grams.h5",
        groups="<results>/{study}/embedding/items.csv",
    log:
        "<logs>/{study}/embedding/grams.log",
    benchmark:
        "<benchmarks>/{study}/embedding/grams.tsv"
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
        code=script_digest("digits/network/extract_layer_grams.py"),
    script:
        "../../../../scripts/digits/network/extract_layer_grams.py"
