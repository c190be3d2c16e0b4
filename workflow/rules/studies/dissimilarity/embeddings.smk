# Embeddings of the dissimilarity studies: what networks and controls make of the images.
#
# In: images of a subject, weights or arrays.
# Out: <results>/<study>/embeddings/<embedding>_<subject>.h5 (features, or the products of wide
# ones), tables/raw_distances.csv: how their distances resemble those of responses before anything
# is learned.


include: "embeddings_functions.smk"


rule embed_images:
    """Show a subject's images to a network or a control, and keep its features."""
    input:
        images="<results>/{study}/images/{subject}.npz",
        source=original_images,
        files=embedding_files,
    output:
        embedding="<results>/{study}/embeddings/{embedding}_{subject}.h5",
    log:
        "<logs>/{study}/embeddings/{embedding}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/embeddings/{embedding}_{subject}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        subject=PAIR_SUBJECTS,
        embedding=PAIR_EMBEDDINGS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=MB_OF_PAIRS["embed_images"],
        runtime=minutes(120),
        gpu=lambda wildcards: int(sees_originals(wildcards)),
    params:
        embedding=embedding_block,
        folder=pair_folder,
        stimuli=if_from_rsa(stimuli_source),
        match=if_from_rsa(setting("images", "match")),
        seed=config["seed"],
        code=embedder_digest,
    script:
        "../../../../scripts/dissimilarity/embeddings/embed_images.py"


rule compare_raw_distances:
    """Compare the distances of every embedding with those of the responses."""
    input:
        rdms=all_fmri_rdms,
        embeddings=lambda wildcards: [
            f"<results>/{wildcards.study}/embeddings/{name}_{subject}.h5"
            for subject in pair_subjects(wildcards.study)
            for name in single_embeddings(wildcards.study)
        ],
    output:
        table=report(
            "<results>/{study}/tables/raw_distances.csv",
            caption="../../../report/raw_distances_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "raw distances of embeddings"},
        ),
    log:
        "<logs>/{study}/tables/raw_distances.log",
    benchmark:
        "<benchmarks>/{study}/tables/raw_distances.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 2
    resources:
        mem_mb=MB_OF_PAIRS["compare_raw_distances"],
        runtime=minutes(60),
    params:
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        rois=pair_rois,
        n_resamples=pair_setting("inference", "n_bootstrap"),
        n_permutations=pair_setting("inference", "n_permutations"),
        seed=config["seed"],
        code=script_digest("dissimilarity/evaluation/compare_raw_distances.py"),
    script:
        "../../../../scripts/dissimilarity/evaluation/compare_raw_distances.py"
