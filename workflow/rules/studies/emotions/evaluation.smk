# Evaluation of the emotions studies: what is shared, what is told, and what of it is leakage.
#
# In: labels, time series and predictions of all models.
# Out: <results>/<study>/tables/leak_audit.csv, and of all models and splits decoding.csv,
# decoding_subjects.csv, auc.csv, roc.csv, confusion.csv, calibration.csv.


rule audit_volumes:
    """Count what tested volumes share with those that are learned from, in every split and fold."""
    input:
        labels="<results>/{study}/tables/labels.csv",
        timeseries=all_timeseries,
    output:
        report(
            "<results>/{study}/tables/leak_audit.csv",
            caption="../../../report/volume_audit_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "leak audit"},
        ),
    log:
        "<logs>/{study}/tables/leak_audit.log",
    benchmark:
        "<benchmarks>/{study}/tables/leak_audit.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(30),
    params:
        classes=movie_setting("labels", "classes"),
        subjects=movie_setting("subjects"),
        splits=movie_setting("splits", "names"),
        n_folds=movie_setting("splits", "n_folds"),
        validation_share=movie_setting("splits", "validation_share"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("emotions/decoding/audit_volumes.py"),
    script:
        "../../../../scripts/emotions/decoding/audit_volumes.py"


rule evaluate_decoding:
    """Score the predictions of all models in all splits, with intervals and a null."""
    input:
        labels="<results>/{study}/tables/labels.csv",
        predictions=all_predictions,
        refits=all_refits,
        audit="<results>/{study}/tables/leak_audit.csv",
    output:
        decoding=report(
            "<results>/{study}/tables/decoding.csv",
            caption="../../../report/decoding_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "scores of decoding"},
        ),
        subjects="<results>/{study}/tables/decoding_subjects.csv",
        auc=report(
            "<results>/{study}/tables/auc.csv",
            caption="../../../report/auc_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "AUC by emotion"},
        ),
        roc="<results>/{study}/tables/roc.csv",
        confusion="<results>/{study}/tables/confusion.csv",
        calibration="<results>/{study}/tables/calibration.csv",
    log:
        "<logs>/{study}/tables/decoding.log",
    benchmark:
        "<benchmarks>/{study}/tables/decoding.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(20, at_least=4000),
        runtime=minutes(120),
    params:
        classes=movie_setting("labels", "classes"),
        subjects=movie_setting("subjects"),
        tr=movie_setting("tr"),
        n_shifts=movie_setting("inference", "n_shifts"),
        min_shift=movie_setting("inference", "min_shift"),
        n_bootstrap=movie_setting("inference", "n_bootstrap"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("emotions/evaluation/evaluate_decoding.py"),
    script:
        "../../../../scripts/emotions/evaluation/evaluate_decoding.py"


rule tabulate_emotion_corrections:
    """Set what the original gets wrong beside what stands here, in numbers of this study."""
    input:
        labels="<results>/{study}/tables/labels.csv",
        counts="<results>/{study}/tables/emotion_counts.csv",
        timing="<results>/{study}/tables/label_timing.csv",
        decoding="<results>/{study}/tables/decoding.csv",
        audit="<results>/{study}/tables/leak_audit.csv",
        as_published=decoding_as_published,
        predictions=predictions_of_shown,
        series=first_timeseries,
        rsa=table_of_rsa,
    output:
        table="<results>/{study}/tables/corrections.csv",
        html=report(
            "<results>/{study}/tables/corrections.html",
            caption="../../../report/emotion_corrections_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "original against ours"},
        ),
    log:
        "<logs>/{study}/tables/corrections.log",
    benchmark:
        "<benchmarks>/{study}/tables/corrections.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    params:
        classes=movie_setting("labels", "classes"),
        subjects=movie_setting("subjects"),
        model=model_shown,
        balanced=model_with_balanced_classes,
        confounds=model_of_confounds,
        lag=lag_in_seconds,
        n_shifts=movie_setting("inference", "n_shifts"),
        title=setting("title"),
        simulated=is_simulated,
        published=movie_setting("published", "similarity"),
        code=script_digest("emotions/evaluation/tabulate_emotion_corrections.py"),
    script:
        "../../../../scripts/emotions/evaluation/tabulate_emotion_corrections.py"
