# Generators of the reconstruction studies: images from decoded shapes and categories.
#
# In: features/images.npz, decoded shapes and categories of models/.
# Out: <results>/<study>/models/generator_<generator>_<subject>.safetensors, _history.csv and
# _samples.npz; reconstructions/<generator or baseline>_<subject>.h5.


rule train_generator:
    """Train a generator to draw training images from what was decoded of them out of fold."""
    input:
        unpack(decoded_for_generator),
        images="<results>/{study}/features/images.npz",
        weights=weights_of_generator,
    output:
        network="<results>/{study}/models/generator_{generator}_{subject}.safetensors",
        history="<results>/{study}/models/generator_{generator}_{subject}_history.csv",
        samples="<results>/{study}/models/generator_{generator}_{subject}_samples.npz",
    log:
        "<logs>/{study}/models/generator_{generator}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/models/generator_{generator}_{subject}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        subject=RECONSTRUCTION_SUBJECTS,
        generator=GENERATORS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=generator_mb,
        runtime=minutes(24 * 60),
        gpu=1,
    params:
        generator=setting("generator"),
        n_folds=setting("folds", "n_folds"),
        validation_share=setting("folds", "validation_share"),
        seed=config["seed"],
        code=script_digest("reconstruction/generator/train_generator.py"),
    script:
        "../../../../scripts/reconstruction/generator/train_generator.py"


rule reconstruct_images:
    """Draw the test images from what was decoded of responses to them."""
    input:
        unpack(decoded_for_generator),
        images="<results>/{study}/features/images.npz",
        network="<results>/{study}/models/generator_{generator}_{subject}.safetensors",
    output:
        "<results>/{study}/reconstructions/{generator}_{subject}.h5",
    log:
        "<logs>/{study}/reconstructions/{generator}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/reconstructions/{generator}_{subject}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        subject=RECONSTRUCTION_SUBJECTS,
        generator=GENERATORS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=2500),
        runtime=minutes(30),
        gpu=1,
    params:
        code=script_digest("reconstruction/generator/reconstruct_images.py"),
    script:
        "../../../../scripts/reconstruction/generator/reconstruct_images.py"


rule reconstruct_baselines:
    """Answer with the mean training image, or the training image that was decoded alike."""
    input:
        unpack(decoded_for_baseline),
        images="<results>/{study}/features/images.npz",
    output:
        "<results>/{study}/reconstructions/{baseline}_{subject}.h5",
    log:
        "<logs>/{study}/reconstructions/{baseline}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/reconstructions/{baseline}_{subject}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        subject=RECONSTRUCTION_SUBJECTS,
        baseline="mean_image|nearest_image",
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(6, at_least=2500),
        runtime=minutes(30),
    params:
        code=script_digest("reconstruction/generator/reconstruct_baselines.py"),
    script:
        "../../../../scripts/reconstruction/generator/reconstruct_baselines.py"
