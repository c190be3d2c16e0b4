# Models of pairs: trained and tested on splits with and without leakage.
#
# In: RDMs of responses, embeddings, images and, for encoding, responses.
# Out: <results>/<study>/tables/leak_audit.csv (what splits share, before anything is fitted to them),
# predictions/<subject>_<model>.h5, models/<subject>_<model>_history.csv, and tables/:
# pair_scores_<subject>_<model>.csv, and over all of them pair_scores.csv, inflation.csv (leaked -
# clean), model_ranking.csv.


rule audit_pairs:
    """Audit what the parts of every split share; stop at a clean one that is not."""
    input:
        images=of_pair_subjects("images/{subject}.npz"),
    output:
        table=report(
            "<results>/{study}/tables/leak_audit.csv",
            caption="../../../report/leak_audit_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "leak audit"},
        ),
    log:
        "<logs>/{study}/tables/leak_audit.log",
    benchmark:
        "<benchmarks>/{study}/tables/leak_audit.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=audit_mb,
        runtime=60,
    params:
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        splits=fold_settings("leaked"),
        labels=standardised_by,
        n_training_images=curve_sizes,
        seed=config["seed"],
        code=script_digest("dissimilarity/audit_pairs.py"),
    script:
        "../../../../scripts/dissimilarity/audit_pairs.py"


rule fit_pair_model:
    """Fit a model to the pairs of a subject, and test it on pairs of images seen and unseen."""
    input:
        rdms=fmri_rdms,
        images="<results>/{study}/images/{subject}.npz",
        embeddings=model_embeddings,
        source=challenge_files,
        # What claims to be clean and is not stops before it is fitted to; but a fit is not done
        # again because a subject was added to the table.
        audit=ancient("<results>/{study}/tables/leak_audit.csv"),
    output:
        predictions="<results>/{study}/predictions/{subject}_{model}.h5",
        history="<results>/{study}/models/{subject}_{model}_history.csv",
        scores="<results>/{study}/tables/pair_scores_{subject}_{model}.csv",
    log:
        "<logs>/{study}/models/{subject}_{model}.log",
    benchmark:
        "<benchmarks>/{study}/models/{subject}_{model}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        subject=PAIR_SUBJECTS,
        model=PAIR_MODELS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=fit_mb,
        runtime=600,
        gpu=pair_gpus,
    params:
        model=pair_model_block,
        rois=of_model("rois", pair_rois),
        metrics=of_model("metrics", pair_metrics),
        embeddings=embeddings_of_model,
        splits=fold_settings("leaked", "n_training_images"),
        labels=standardised_by,
        inference=pair_setting("inference"),
        n_components=pair_setting("n_components"),
        folder=folder_of_challenge,
        seed=config["seed"],
        code=kind_digest,
    script:
        "../../../../scripts/dissimilarity/fit_pair_model.py"


rule tabulate_pair_scores:
    """Gather the scores of all models, what leakage adds to them, and their order."""
    input:
        scores=of_pair_models("tables/pair_scores_{subject}_{model}.csv"),
        predictions=of_pair_models("predictions/{subject}_{model}.h5"),
        ceilings="<results>/{study}/tables/ceilings.csv",
    output:
        scores=report(
            "<results>/{study}/tables/pair_scores.csv",
            caption="../../../report/pair_scores_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "scores of models of pairs"},
        ),
        inflation=report(
            "<results>/{study}/tables/inflation.csv",
            caption="../../../report/inflation_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "leaked against clean"},
        ),
        ranking=report(
            "<results>/{study}/tables/model_ranking.csv",
            caption="../../../report/model_ranking_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "order of models of pairs"},
        ),
    log:
        "<logs>/{study}/tables/pair_scores.log",
    benchmark:
        "<benchmarks>/{study}/tables/pair_scores.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(8),
        runtime=30,
    params:
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        code=script_digest("dissimilarity/tabulate_pair_scores.py"),
    script:
        "../../../../scripts/dissimilarity/tabulate_pair_scores.py"
