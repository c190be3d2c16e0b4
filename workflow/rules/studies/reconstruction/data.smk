# Data of the reconstruction studies: the images that subjects saw, and their responses.
#
# In: responses as BData or in arrays, and image files; simulated ones are written here, to
# <simulated>/<folder>/, in the published layout.
# Out: <results>/<study>/features/images.npz (names, parts, images of one size, shapes, copies).
# Responses are read by every decoder for itself: those of other ROIs are nothing to it.


# Which files are written depends on the entry: its subjects and tests.
for pictures, entry in picture_simulations().items():

    rule:
        """Draw pictures, and simulate people in a scanner who look at them, in BData as published."""
        name:
            f"simulate_pictures_{pictures}"
        output:
            expand("<simulated>/{{folder}}/{file}", file=all_response_files(entry)),
            directory(expand("<simulated>/{{folder}}/{stimuli}", stimuli=simulated_stimuli(entry))),
            truth="<simulated>/{folder}/truth.csv",
            images="<simulated>/{folder}/images.csv",
        log:
            "<logs>/simulated/{folder}_pictures.log",
        benchmark:
            "<benchmarks>/simulated/{folder}_pictures.tsv"
        wildcard_constraints:
            folder=re.escape(pictures),
        conda:
            "../../../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=megabytes(1500),
            runtime=minutes(30),
        params:
            files=response_patterns(entry),
            n_images=of_parts(entry, "n_training", "n_test"),
            n_repeats=of_parts(entry, "training_repeats", "test_repeats"),
            subjects=entry["subjects"],
            streams=entry["simulation"]["streams"],
            variant=entry["simulation"]["variant"],
            seed=config["seed"],
            code=script_digest("reconstruction/data/simulate_pictures.py"),
        script:
            "../../../../scripts/reconstruction/data/simulate_pictures.py"


rule prepare_pictures:
    """Find the images of all responses, and bring them to one size; make the shapes of them."""
    input:
        responses=of_picture_entry(recorded_files),
        stimuli=images_of_stimuli,
        tables=of_picture_entry(tables_of_images),
    output:
        images="<results>/{study}/features/images.npz",
    log:
        "<logs>/{study}/features/images.log",
    benchmark:
        "<benchmarks>/{study}/features/images.tsv"
    wildcard_constraints:
        study=RECONSTRUCTION_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(60),
    params:
        options=of_picture_entry(trial_options),
        subjects=setting("subjects"),
        parts=of_picture_entry(parts_of),
        folder=of_picture_entry(folder_of_stimuli),
        stimuli=of_picture_entry(stimulus_patterns),
        tables=of_picture_entry(stimulus_tables),
        image=setting("image"),
        code=script_digest("reconstruction/data/prepare_pictures.py"),
    script:
        "../../../../scripts/reconstruction/data/prepare_pictures.py"
