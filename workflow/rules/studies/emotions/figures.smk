# Figures of the emotions studies, from tables alone.
#
# Out: <results>/<study>/figures/: timeline, agreement, leakage, roc, confusion, calibration and
# training_<model>_<split>; each .png and .svg, with its caption in .rst.


rule plot_timeline:
    """Draw what observers see over the movie, run by run."""
    input:
        labels="<results>/{study}/tables/labels.csv",
        counts="<results>/{study}/tables/emotion_counts.csv",
        timing="<results>/{study}/tables/label_timing.csv",
    output:
        **figure_files("timeline", "Annotations", figure="timeline"),
    log:
        "<logs>/{study}/figures/timeline.log",
    benchmark:
        "<benchmarks>/{study}/figures/timeline.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        classes=movie_setting("labels", "classes"),
        tr=movie_setting("tr"),
        n_observers=lambda wildcards: len(movie_setting("annotations", "observers")(wildcards)),
        min_observers=movie_setting("labels", "min_observers"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_timeline.py"),
    script:
        "../../../../scripts/emotions/figures/plot_timeline.py"


rule plot_agreement:
    """Draw how well observers agree, by emotion, by pairs, and without each of them."""
    input:
        agreement="<results>/{study}/tables/agreement.csv",
    output:
        **figure_files("agreement", "Annotations", figure="agreement of observers"),
    log:
        "<logs>/{study}/figures/agreement.log",
    benchmark:
        "<benchmarks>/{study}/figures/agreement.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        classes=movie_setting("labels", "classes"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_agreement.py"),
    script:
        "../../../../scripts/emotions/figures/plot_agreement.py"


rule plot_leakage:
    """Draw how well emotions are told in every split, from leaked to clean."""
    input:
        tables=tables_beside,
    output:
        **figure_files("leakage", "Decoding", figure="how much is leakage"),
    log:
        "<logs>/{study}/figures/leakage.log",
    benchmark:
        "<benchmarks>/{study}/figures/leakage.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        labels=labels_beside,
        measures=["accuracy", "auc"],
        shown=model_shown,
        published=movie_setting("published", "accuracy"),
        confounds=confounds_seen,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_leakage.py"),
    script:
        "../../../../scripts/emotions/figures/plot_leakage.py"


rule plot_roc:
    """Draw ROC curves of every emotion, in the most leaked and in the cleanest split."""
    input:
        roc="<results>/{study}/tables/roc.csv",
        auc="<results>/{study}/tables/auc.csv",
        decoding="<results>/{study}/tables/decoding.csv",
    output:
        **figure_files("roc", "Decoding", figure="ROC curves"),
    log:
        "<logs>/{study}/figures/roc.log",
    benchmark:
        "<benchmarks>/{study}/figures/roc.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        published=movie_setting("published", "auc"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_roc.py"),
    script:
        "../../../../scripts/emotions/figures/plot_roc.py"


rule plot_emotion_confusion:
    """Draw as which emotion every decoder predicts which."""
    input:
        confusion="<results>/{study}/tables/confusion.csv",
        decoding="<results>/{study}/tables/decoding.csv",
    output:
        **figure_files("confusion", "Decoding", figure="confusion"),
    log:
        "<logs>/{study}/figures/confusion.log",
    benchmark:
        "<benchmarks>/{study}/figures/confusion.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_emotion_confusion.py"),
    script:
        "../../../../scripts/emotions/figures/plot_emotion_confusion.py"


rule plot_emotion_calibration:
    """Draw whether decoders are right as often as they say."""
    input:
        calibration="<results>/{study}/tables/calibration.csv",
        decoding="<results>/{study}/tables/decoding.csv",
    output:
        **figure_files("calibration", "Decoding", figure="calibration"),
    log:
        "<logs>/{study}/figures/calibration.log",
    benchmark:
        "<benchmarks>/{study}/figures/calibration.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_emotion_calibration.py"),
    script:
        "../../../../scripts/emotions/figures/plot_emotion_calibration.py"
