# Images and betas of the digits studies, as they are published, in the form of the study.
#
# In:  raw files of the registry or of the user's own folder: MNIST's idx files, images in a folder
#      per category, the .npz files of the published sample (scripts/digits/data/published.py).
# Out: <results>/<study>/images/{train,validation,stimuli}.npz, which have no image in common;
#      <resources>/digitobject/converted/: the published betas as an image, with names and mask.


include: "images_functions.smk"


rule prepare_images:
    """Choose published images of every category for each part, and bring them to one size."""
    input:
        digit_image_paths,
    output:
        train="<results>/{study}/images/train.npz",
        validation="<results>/{study}/images/validation.npz",
        stimuli="<results>/{study}/images/stimuli.npz",
    log:
        "<logs>/{study}/images/images.log",
    benchmark:
        "<benchmarks>/{study}/images/images.tsv"
    wildcard_constraints:
        study=REAL_DIGITS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=images_mb,
        runtime=minutes(60),
    params:
        collections=digit_collections,
        categories=digits_categories,
        n_per_category=lambda wildcards: numbers_of_images(config["digits"][wildcards.study]),
        side=digits_setting("images", "side"),
        seed=config["seed"],
        code=script_digest("digits/data/prepare_images.py"),
    script:
        "../../../../scripts/digits/data/prepare_images.py"


rule convert_betas:
    """Give the published betas their place in the head, names and a mask."""
    input:
        "<resources>/digitobject/Sample_fMRI_data.npz",
    output:
        betas="<resources>/digitobject/converted/betas.nii.gz",
        conditions="<resources>/digitobject/converted/conditions.csv",
        mask="<resources>/digitobject/converted/mask.nii.gz",
    log:
        "<logs>/acquire/digitobject/converted.log",
    benchmark:
        "<benchmarks>/acquire/digitobject/converted.tsv"
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    params:
        code=script_digest("digits/data/convert_betas.py"),
    script:
        "../../../../scripts/digits/data/convert_betas.py"
