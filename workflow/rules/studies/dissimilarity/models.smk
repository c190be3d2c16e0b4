# Models of pairs: trained and tested on splits with and without leakage.
#
# In: RDMs of responses, embeddings, images and, for encoding, responses.
# Out: <results>/<study>/predictions/<subject>_<model>.h5, models/<subject>_<model>_history.csv, and
# tables/: pair_scores_<subject>_<model>.csv, leak_audit_<subject>_<model>.csv, and over all of them
# pair_scores.csv, inflation.csv (leaked - clean), model_ranking.csv.


rule fit_pair_model:
    """Fit a model to the pairs of a subject, and test it on pairs of images seen and unseen."""
    input:
        rdms=fmri_rdms,
        images="<results>/{study}/images/{subject}.npz",
        embeddings=model_embeddings,
        source=challenge_files,
    output:
        predictions="<results>/{study}/predictions/{subject}_{model}.h5",
        history="<results>/{study}/models/{subject}_{model}_history.csv",
        scores="<results>/{study}/tables/pair_scores_{subject}_{model}.csv",
        audit="<results>/{study}/tables/leak_audit_{subject}_{model}.csv",
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
        mem_mb=size_mb(10, at_least=2000),
        runtime=600,
        gpu=pair_gpus,
    params:
        model=pair_model_block,
        rois=of_model("rois", pair_rois),
        metrics=of_model("metrics", pair_metrics),
        embeddings=embeddings_of_model,
        splits=pair_setting("splits"),
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
        audits=of_pair_models("tables/leak_audit_{subject}_{model}.csv"),
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
        audit=report(
            "<results>/{study}/tables/leak_audit.csv",
            caption="../../../report/leak_audit_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "leak audit"},
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
        code=script_digest("dissimilarity/tabulate_pair_scores.py"),
    script:
        "../../../../scripts/dissimilarity/tabulate_pair_scores.py"
