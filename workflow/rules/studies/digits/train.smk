# Training of the digits studies: images -> a trained network, and what it gets right.
#
# In: <results>/<study>/images/{train,validation}.npz; those of simulated studies are drawn here, to
# <simulated>/<folder>/images/.
# Out: <results>/<study>/models/vgg.safetensors (weights, classes and scaling of images),
# vgg_history.csv (a row per epoch, part and measure), vgg_predictions.csv (a row per validation
# image); tables/accuracy.csv and .html; figures training and confusion.
#
# A training that was cut short goes on from models/vgg.checkpoint, and ends with the same network.


include: "train_functions.smk"


rule simulate_digit_images:
    """Enlarge handwritten digits and draw objects, for training, validation and participants."""
    output:
        train="<simulated>/{folder}/images/train.npz",
        validation="<simulated>/{folder}/images/validation.npz",
        stimuli="<simulated>/{folder}/images/stimuli.npz",
    log:
        "<logs>/simulated/{folder}_images.log",
    benchmark:
        "<benchmarks>/simulated/{folder}_images.tsv"
    wildcard_constraints:
        folder=one_of(digit_simulations()),
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=minutes(10),
    params:
        categories=lambda wildcards: all_categories(digit_simulations()[wildcards.folder]),
        n_per_category=lambda wildcards: numbers_of_images(digit_simulations()[wildcards.folder]),
        side=lambda wildcards: digit_simulations()[wildcards.folder]["images"]["side"],
        seed=config["seed"],
        code=script_digest("digits/simulate_digit_images.py"),
    script:
        "../../../../scripts/digits/simulate_digit_images.py"


rule train_cnn:
    """Train the network to tell the categories apart, and test it on validation images."""
    input:
        train=images_of("train"),
        validation=images_of("validation"),
        weights=initial_weights,
    output:
        network="<results>/{study}/models/vgg.safetensors",
        history="<results>/{study}/models/vgg_history.csv",
        predictions="<results>/{study}/models/vgg_predictions.csv",
    log:
        "<logs>/{study}/models/vgg.log",
    benchmark:
        "<benchmarks>/{study}/models/vgg.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: training_threads
    resources:
        mem_mb=training_mb,
        runtime=training_minutes,
        gpu=1,
    params:
        categories=digits_setting("categories"),
        network=digits_setting("network"),
        seed=config["seed"],
        code=script_digest("digits/train_cnn.py"),
    script:
        "../../../../scripts/digits/train_cnn.py"


rule tabulate_accuracy:
    """Tabulate how many validation images of each category are told right, with intervals."""
    input:
        "<results>/{study}/models/vgg_predictions.csv",
    output:
        table="<results>/{study}/tables/accuracy.csv",
        html=report(
            "<results>/{study}/tables/accuracy.html",
            caption="../../../report/accuracy_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "accuracy of the network"},
        ),
    log:
        "<logs>/{study}/tables/accuracy.log",
    benchmark:
        "<benchmarks>/{study}/tables/accuracy.tsv"
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=minutes(10),
    params:
        groups=digits_setting("categories"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("training/tabulate_accuracy.py"),
    script:
        "../../../../scripts/training/tabulate_accuracy.py"


rule plot_training:
    """Draw the learning curves of the network."""
    input:
        "<results>/{study}/models/vgg_history.csv",
    output:
        **figure_files("training", "Network", figure="learning curves"),
    log:
        "<logs>/{study}/figures/training.log",
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        groups=digits_setting("categories"),
        note=training_note,
        code=script_digest("figures/plot_training.py"),
    script:
        "../../../../scripts/figures/plot_training.py"


rule plot_confusion:
    """Draw what the network takes for what, and its accuracy per category."""
    input:
        "<results>/{study}/models/vgg_predictions.csv",
    output:
        **figure_files("confusion", "Network", figure="confusion"),
    log:
        "<logs>/{study}/figures/confusion.log",
    wildcard_constraints:
        study=DIGIT_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        groups=digits_setting("categories"),
        code=script_digest("figures/plot_confusion.py"),
    script:
        "../../../../scripts/figures/plot_confusion.py"
