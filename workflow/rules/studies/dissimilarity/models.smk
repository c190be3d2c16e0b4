# Models of pairs: trained and tested on splits with and without leakage.
#
# In: RDMs of responses, embeddings, images and, for encoding, responses.
# Out: <results>/<study>/tables/leak_audit.csv (what splits share; each fit audits its own before it
# begins), predictions/<subject>_<model>.h5, models/<subject>_<model>_history.csv, and of these
# tables/: pair_scores_<subject>.csv, pair_draws_<subject>.h5, and over all subjects
# pair_scores.csv, inflation.csv (seen - clean), model_ranking.csv.


include: "models_functions.smk"


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
        mem_mb=MB_OF_PAIRS["audit_pairs"],
        runtime=minutes(60),
    params:
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        splits=fold_settings("leaked"),
        labels=standardised_by,
        n_training_images=curve_sizes,
        n_components=pair_setting("n_components"),
        seed=config["seed"],
        code=script_digest("dissimilarity/fits/audit_pairs.py"),
    script:
        "../../../../scripts/dissimilarity/fits/audit_pairs.py"


rule fit_pair_model:
    """Fit a model to the pairs of a subject, and predict pairs of images seen and unseen."""
    input:
        rdms=fmri_rdms,
        images="<results>/{study}/images/{subject}.npz",
        embeddings=model_embeddings,
        source=if_needed("responses", challenge_files, []),
    output:
        predictions="<results>/{study}/predictions/{subject}_{model}.h5",
        history="<results>/{study}/models/{subject}_{model}_history.csv",
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
        runtime=minutes(600),
        gpu=pair_gpus,
    params:
        model=pair_model_block,
        rois=of_model("rois", pair_rois),
        metrics=of_model("metrics", pair_metrics),
        embeddings=embeddings_of_model,
        splits=pair_splits,
        n_training_images=curve_of_model,
        labels=standardised_by,
        n_components=if_needed("features", pair_setting("n_components"), None),
        folder=if_needed("responses", folder_of_challenge, None),
        seed=config["seed"],
        code=kind_digest,
    script:
        "../../../../scripts/dissimilarity/fits/fit_pair_model.py"


rule score_pair_models:
    """Score what the models of a subject predict, with intervals and tests over images."""
    input:
        predictions=of_pair_models("predictions/{subject}_{model}.h5"),
    output:
        scores="<results>/{study}/tables/pair_scores_{subject}.csv",
        draws="<results>/{study}/tables/pair_draws_{subject}.h5",
    log:
        "<logs>/{study}/tables/pair_scores_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/tables/pair_scores_{subject}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        subject=PAIR_SUBJECTS,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["score_pair_models"],
        runtime=minutes(120),
    params:
        source=pair_setting("source"),
        labels=standardised_by,
        deal=pair_setting("splits", "leaked"),
        inference=pair_setting("inference"),
        seed=config["seed"],
        code=script_digest("dissimilarity/evaluation/score_pair_models.py"),
    script:
        "../../../../scripts/dissimilarity/evaluation/score_pair_models.py"


rule tabulate_pair_scores:
    """Gather the scores of all models, what leakage adds to them, and their order."""
    input:
        scores=of_scored_subjects("tables/pair_scores_{subject}.csv"),
        draws=of_scored_subjects("tables/pair_draws_{subject}.h5"),
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
        runtime=minutes(30),
    params:
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        code=script_digest("dissimilarity/evaluation/tabulate_pair_scores.py"),
    script:
        "../../../../scripts/dissimilarity/evaluation/tabulate_pair_scores.py"
