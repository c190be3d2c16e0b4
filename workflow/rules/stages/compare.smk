# Stage compare: aligned RDMs -> tidy tables of similarity, tests and noise ceilings.
#
# In: <results>/<study>/rdms/; for encoding also patterns and Gram matrices of layers.
# Out: <results>/<study>/draws/, similarities and noise ceilings of resampled images, the same
# resamples for all subjects; <results>/<study>/tables/ with rsa_<subject>.csv (a row per session,
# ROI, model, layer and comparator) and noise_ceiling.csv (a row per ROI, comparator and subject);
# for studies of patterns also encoding_<subject>.csv, the same cells by ridge regression.


rule resample_images:
    """Resample the images of one subject: how far would its similarities vary with others?"""
    input:
        brain="<results>/{study}/rdms/brain_{subject}.h5",
        models=model_rdms,
    output:
        "<results>/{study}/draws/rsa_{subject}.h5",
    log:
        "<logs>/{study}/draws/rsa_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/draws/rsa_{subject}.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(5),
        runtime=minutes(120),
    params:
        comparators=setting("comparators"),
        engine=setting("engine"),
        n_resamples=setting("inference", "n_bootstrap"),
        n_exact_ranks=setting("inference", "n_exact_ranks"),
        resample=setting("inference", "resample"),
        seed=config["seed"],
        code=script_digest("compare/resample_images.py"),
    script:
        "../../../scripts/compare/resample_images.py"


rule compare_rdms:
    """Compare every layer with every ROI of a subject: similarity, interval, test against zero."""
    input:
        brain="<results>/{study}/rdms/brain_{subject}.h5",
        models=model_rdms,
        draws="<results>/{study}/draws/rsa_{subject}.h5",
    output:
        "<results>/{study}/tables/rsa_{subject}.csv",
    log:
        "<logs>/{study}/tables/rsa_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/tables/rsa_{subject}.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(5),
        runtime=minutes(120),
    params:
        n_permutations=setting("inference", "n_permutations"),
        permuted=permuted,
        seed=config["seed"],
        code=script_digest("compare/compare_rdms.py"),
    script:
        "../../../scripts/compare/compare_rdms.py"


rule estimate_noise_ceiling:
    """Estimate how similar a perfect model could be to each ROI, given the subjects' agreement."""
    input:
        lambda wildcards: expand(
            "<results>/{study}/rdms/brain_{subject}.h5",
            study=wildcards.study,
            subject=study_subjects(wildcards.study, joint=False),
        ),
    output:
        table=report(
            "<results>/{study}/tables/noise_ceiling.csv",
            caption="../../report/noise_ceiling_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "noise ceiling"},
        ),
        draws="<results>/{study}/draws/noise_ceiling.h5",
    log:
        "<logs>/{study}/tables/noise_ceiling.log",
    benchmark:
        "<benchmarks>/{study}/tables/noise_ceiling.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4),
        runtime=minutes(60),
    params:
        comparators=setting("comparators"),
        engine=setting("engine"),
        n_resamples=setting("inference", "n_bootstrap"),
        n_exact_ranks=setting("inference", "n_exact_ranks"),
        resample=setting("inference", "resample"),
        seed=config["seed"],
        code=script_digest("compare/estimate_noise_ceiling.py"),
    script:
        "../../../scripts/compare/estimate_noise_ceiling.py"


rule fit_encoding:
    """Predict every channel's responses from each layer by ridge regression, on held-out images."""
    input:
        patterns="<results>/{study}/patterns/brain_{subject}.h5",
        grams=model_grams,
        images="<results>/{study}/rdms/images.csv",
    output:
        report(
            "<results>/{study}/tables/encoding_{subject}.csv",
            caption="../../report/encoding_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "ridge encoding", "subject": "{subject}"},
        ),
    log:
        "<logs>/{study}/tables/encoding_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/tables/encoding_{subject}.tsv"
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(6, at_least=2000),
        runtime=minutes(240),
    params:
        match=setting("images", "match"),
        n_folds=setting("encoding", "folds"),
        n_permutations=setting("inference", "n_permutations"),
        permuted=permuted,
        resample=setting("inference", "resample"),
        seed=config["seed"],
        code=script_digest("compare/fit_encoding.py"),
    script:
        "../../../scripts/compare/fit_encoding.py"
