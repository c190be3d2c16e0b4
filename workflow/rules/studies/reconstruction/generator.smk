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
        code=training_digest("reconstruction/generator/train_generator.py"),
    script:
        "../../../../scripts/reconstruction/generator/train_generator.py"


# A job draws for all generators of a subject: starting one takes longer than drawing.
for pictures, entry in generated_entries().items():

    rule:
        """Draw the test images from what was decoded of responses to them, by all generators."""
        name:
            f"reconstruct_images_{pictures}"
        input:
            unpack(decoded_for_generators),
            images="<results>/{study}/features/images.npz",
            networks=expand(
                "<results>/{{study}}/models/generator_{generator}_{{subject}}.safetensors",
                generator=entry["generators"],
            ),
        output:
            expand(
                "<results>/{{study}}/reconstructions/{generator}_{{subject}}.h5",
                generator=entry["generators"],
            ),
        log:
            "<logs>/{study}/reconstructions/generators_{subject}.log",
        benchmark:
            "<benchmarks>/{study}/reconstructions/generators_{subject}.tsv"
        wildcard_constraints:
            study=re.escape(pictures),
            subject=RECONSTRUCTION_SUBJECTS,
        conda:
            "../../../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=size_mb(4, at_least=2500),
            runtime=minutes(30),
            gpu=1,
        params:
            generators=decoders_of_generators,
            code=script_digest("reconstruction/generator/reconstruct_images.py"),
        script:
            "../../../../scripts/reconstruction/generator/reconstruct_images.py"

    if entry["baselines"]:

        rule:
            """Answer with the mean training image, or the training image that was decoded alike."""
            name:
                f"reconstruct_baselines_{pictures}"
            input:
                unpack(decoded_for_baselines),
                images="<results>/{study}/features/images.npz",
            output:
                expand(
                    "<results>/{{study}}/reconstructions/{baseline}_{{subject}}.h5",
                    baseline=entry["baselines"],
                ),
            log:
                "<logs>/{study}/reconstructions/baselines_{subject}.log",
            benchmark:
                "<benchmarks>/{study}/reconstructions/baselines_{subject}.tsv"
            wildcard_constraints:
                study=re.escape(pictures),
                subject=RECONSTRUCTION_SUBJECTS,
            conda:
                "../../../../envs/torch.yaml"
            threads: 1
            resources:
                mem_mb=size_mb(6, at_least=2500),
                runtime=minutes(30),
            params:
                baselines=setting("baselines"),
                code=script_digest("reconstruction/generator/reconstruct_baselines.py"),
            script:
                "../../../../scripts/reconstruction/generator/reconstruct_baselines.py"
