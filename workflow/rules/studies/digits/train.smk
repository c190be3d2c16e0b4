# Training of the digits studies: images -> a trained network, and what it gets right.
#
# In: <results>/<study>/images/{train,validation}.npz; those of simulated studies are drawn here, to
# <simulated>/<folder>/images/.
# Out: <results>/<study>/models/vgg.safetensors (weights, classes and scaling of images),
# vgg_history.csv (a row per epoch, part and measure), vgg_predictions.csv (a row per validation
# image), of which stage train makes figures and tables.
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
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        categories=lambda wildcards: all_categories(digit_simulations()[wildcards.folder]),
        n_per_category=lambda wildcards: numbers_of_images(digit_simulations()[wildcards.folder]),
        side=lambda wildcards: digit_simulations()[wildcards.folder]["images"]["side"],
        seed=config["seed"],
        code=script_digest("digits/data/simulate_digit_images.py"),
    script:
        "../../../../scripts/digits/data/simulate_digit_images.py"


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
        code=training_digest("digits/network/train_cnn.py"),
    script:
        "../../../../scripts/digits/network/train_cnn.py"
