# Data of the dissimilarity studies: images, the RDMs of responses to them, and what can be reached.
#
# In: a folder of the Algonauts 2023 challenge (simulated ones are written here, to
# <simulated>/<folder>/), or stimuli and RDMs of the study of `rsa` of the same name.
# Out: <results>/<study>/images/<subject>.npz (names, rows, images of one size),
# rdms/fmri_<subject>.h5 (RDMs per ROI and metric: of all images, and of every fold), and tables/:
# ceilings.csv, extreme_pairs.csv, vertices.csv.


include: "data_functions.smk"


rule simulate_scenes:
    """Draw scenes, and simulate responses of the cortex to them, in the layout of the challenge."""
    output:
        expand("<simulated>/{{folder}}/{file}", file=simulated_files(SCENE_SUBJECTS)),
        directory(
            expand(
                "<simulated>/{{folder}}/{images}",
                images=[
                    folder(subject)
                    for subject in SCENE_SUBJECTS
                    for folder in (images_folder, test_images_folder)
                ],
            )
        ),
        truth="<simulated>/{folder}/truth.csv",
    log:
        "<logs>/simulated/{folder}_scenes.log",
    benchmark:
        "<benchmarks>/simulated/{folder}_scenes.tsv"
    wildcard_constraints:
        folder=one_of(scene_simulations()),
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        n_images=lambda wildcards: scene_simulations()[wildcards.folder]["n_images"],
        null_effect=lambda wildcards: scene_simulations()[wildcards.folder]["null_effect"],
        seed=config["seed"],
        code=script_digest("dissimilarity/data/simulate_scenes.py"),
    script:
        "../../../../scripts/dissimilarity/data/simulate_scenes.py"


rule prepare_pair_images:
    """Choose a subject's images, and bring them to one size."""
    input:
        source=challenge_files,
        excluded=file_of_excluded,
        rdms=if_from_rsa(fmri_rdms),
        stimuli=if_from_rsa(stimulus_raw_files),
    output:
        images="<results>/{study}/images/{subject}.npz",
    log:
        "<logs>/{study}/images/{subject}.log",
    benchmark:
        "<benchmarks>/{study}/images/{subject}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        subject=PAIR_SUBJECTS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["prepare_pair_images"],
        runtime=minutes(60),
    params:
        folder=pair_folder,
        stimuli=if_from_rsa(stimuli_source),
        match=if_from_rsa(setting("images", "match")),
        layout=lambda wildcards: (
            "rsa" if pair_setting("source")(wildcards) == "rsa" else "algonauts2023"
        ),
        subjects=subjects_of_excluded,
        exclude=pair_setting("images", "exclude"),
        n_images=pair_setting("n_images"),
        side=pair_setting("side"),
        code=script_digest("dissimilarity/data/prepare_pair_images.py"),
    script:
        "../../../../scripts/dissimilarity/data/prepare_pair_images.py"


rule compute_fmri_rdms:
    """Compute the RDM of a subject's responses in every ROI, by every metric."""
    input:
        images="<results>/{study}/images/{subject}.npz",
        source=challenge_files,
    output:
        rdms="<results>/{study}/rdms/fmri_{subject}.h5",
    log:
        "<logs>/{study}/rdms/fmri_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/rdms/fmri_{subject}.tsv"
    wildcard_constraints:
        study=FOLDER_STUDIES,
        subject=PAIR_SUBJECTS,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 2
    resources:
        mem_mb=MB_OF_PAIRS["compute_fmri_rdms"],
        runtime=minutes(120),
    params:
        folder=folder_of_challenge,
        rois=pair_rois,
        rois_missing=pair_setting("rois_missing"),
        metrics=pair_metrics,
        labels=standardised_by,
        splits=folds_of_labels,
        seed=config["seed"],
        code=script_digest("dissimilarity/data/compute_fmri_rdms.py"),
    script:
        "../../../../scripts/dissimilarity/data/compute_fmri_rdms.py"


rule compute_pair_ceilings:
    """Compute how well the dissimilarities can be predicted at most, where that can be known."""
    input:
        rdms=all_fmri_rdms,
        images=of_pair_subjects("images/{subject}.npz"),
        truth=true_responses,
    output:
        table=report(
            "<results>/{study}/tables/ceilings.csv",
            caption="../../../report/pair_ceilings_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "ceilings"},
        ),
    log:
        "<logs>/{study}/tables/ceilings.log",
    benchmark:
        "<benchmarks>/{study}/tables/ceilings.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=ceilings_mb,
        runtime=minutes(60),
    params:
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        source=pair_setting("source"),
        folder=folder_of_challenge,
        rois=pair_rois,
        labels=standardised_by,
        splits=fold_settings(),
        seed=config["seed"],
        code=script_digest("dissimilarity/evaluation/compute_pair_ceilings.py"),
    script:
        "../../../../scripts/dissimilarity/evaluation/compute_pair_ceilings.py"


rule find_extreme_pairs:
    """Find the pairs of images with the most and the least alike responses."""
    input:
        rdms=all_fmri_rdms,
    output:
        table=report(
            "<results>/{study}/tables/extreme_pairs.csv",
            caption="../../../report/extreme_pairs_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "extreme pairs"},
        ),
    log:
        "<logs>/{study}/tables/extreme_pairs.log",
    benchmark:
        "<benchmarks>/{study}/tables/extreme_pairs.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["find_extreme_pairs"],
        runtime=minutes(10),
    params:
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        rois=pair_rois,
        code=script_digest("dissimilarity/evaluation/find_extreme_pairs.py"),
    script:
        "../../../../scripts/dissimilarity/evaluation/find_extreme_pairs.py"


rule count_vertices:
    """Count the vertices of every ROI, and those that lack numbers or are flat."""
    input:
        images=of_pair_subjects("images/{subject}.npz"),
        source=files_of_challenge,
    output:
        table=report(
            "<results>/{study}/tables/vertices.csv",
            caption="../../../report/vertices_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "vertices"},
        ),
    log:
        "<logs>/{study}/tables/vertices.log",
    benchmark:
        "<benchmarks>/{study}/tables/vertices.tsv"
    wildcard_constraints:
        study=FOLDER_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["count_vertices"],
        runtime=minutes(120),
    params:
        folder=folder_of_challenge,
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        rois=pair_rois,
        code=script_digest("dissimilarity/data/count_vertices.py"),
    script:
        "../../../../scripts/dissimilarity/data/count_vertices.py"
