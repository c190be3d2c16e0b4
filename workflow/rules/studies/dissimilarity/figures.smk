# Figures of the dissimilarity studies, from tables, RDMs, predictions and images.
#
# Out: <results>/<study>/figures/: flow_chart, architectures, distributions, extreme_pairs,
# raw_distances, model_ranking_<split>, inflation, subject_rois, training_size, pair_r2_<model>,
# loss_curves_<subject>_<model>, and of every subject fmri_rdms_<subject>, true_predicted_<subject>;
# each .png and .svg, with its caption in .rst.


include: "figures_functions.smk"


rule plot_flow_chart:
    """Draw how data, models and splits belong together."""
    input:
        table="<results>/{study}/tables/pair_scores.csv",
    output:
        **figure_files("flow_chart", "Pairs", figure="flow chart"),
    log:
        "<logs>/{study}/figures/flow_chart.log",
    benchmark:
        "<benchmarks>/{study}/figures/flow_chart.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        caption=caption_of,
        source=pair_setting("source"),
        rois=pair_rois,
        metrics=pair_metrics,
        embeddings=kinds_of("embeddings"),
        models=kinds_of("models"),
        n_folds=pair_setting("splits", "n_folds"),
        validation_share=pair_setting("splits", "validation_share"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("dissimilarity/figures/plot_flow_chart.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_flow_chart.py"


rule plot_architectures:
    """Draw the networks of pairs at their published sizes, from the modules themselves."""
    output:
        **figure_files("architectures", "Pairs", figure="networks"),
    log:
        "<logs>/{study}/figures/architectures.log",
    benchmark:
        "<benchmarks>/{study}/figures/architectures.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["plot_architectures"],
        runtime=minutes(10),
    params:
        caption=caption_of,
        models=pair_setting("models"),
        n_components=pair_setting("n_components"),
        title=setting("title"),
        # Of the caption: networks are what they are, simulated data or not.
        simulated=False,
        code=script_digest("dissimilarity/figures/plot_architectures.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_architectures.py"


rule plot_fmri_rdms:
    """Draw a subject's RDMs of every ROI and metric."""
    input:
        rdms=fmri_rdms,
    output:
        **figure_files("fmri_rdms_{subject}", "Pairs", figure="fMRI RDMs", subject="{subject}"),
    log:
        "<logs>/{study}/figures/fmri_rdms_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/figures/fmri_rdms_{subject}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        subject=PAIR_SUBJECTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["plot_fmri_rdms"],
        runtime=minutes(10),
    params:
        caption=caption_of,
        rois=pair_rois,
        labels=standardised_by,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("dissimilarity/figures/plot_fmri_rdms.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_fmri_rdms.py"


rule plot_distributions:
    """Draw how dissimilarities are distributed, by ROI and metric."""
    input:
        rdms=all_fmri_rdms,
    output:
        **figure_files("distributions", "Pairs", figure="distributions"),
    log:
        "<logs>/{study}/figures/distributions.log",
    benchmark:
        "<benchmarks>/{study}/figures/distributions.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["plot_distributions"],
        runtime=minutes(10),
    params:
        caption=caption_of,
        rois=pair_rois,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("dissimilarity/figures/plot_distributions.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_distributions.py"


rule plot_extreme_pairs:
    """Draw the pairs of images with the most and the least alike responses."""
    input:
        table="<results>/{study}/tables/extreme_pairs.csv",
        images=of_pair_subjects("images/{subject}.npz"),
    output:
        **figure_files("extreme_pairs", "Pairs", figure="extreme pairs"),
    log:
        "<logs>/{study}/figures/extreme_pairs.log",
    benchmark:
        "<benchmarks>/{study}/figures/extreme_pairs.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["plot_extreme_pairs"],
        runtime=minutes(10),
    params:
        caption=caption_of,
        subjects=lambda wildcards: pair_subjects(wildcards.study),
        title=setting("title"),
        simulated=is_simulated,
        published=pair_setting("published", "extremes"),
        code=script_digest("dissimilarity/figures/plot_extreme_pairs.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_extreme_pairs.py"


rule plot_raw_distances:
    """Draw how the distances of embeddings resemble those of responses, with nothing learned."""
    input:
        table="<results>/{study}/tables/raw_distances.csv",
    output:
        **figure_files("raw_distances", "Pairs", figure="raw distances"),
    log:
        "<logs>/{study}/figures/raw_distances.log",
    benchmark:
        "<benchmarks>/{study}/figures/raw_distances.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        published=pair_setting("published", "raw_distances"),
        code=script_digest("dissimilarity/figures/plot_raw_distances.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_raw_distances.py"


rule plot_pair_r2:
    """Draw a network's score against its hidden layers, by embedding, metric and split."""
    input:
        table="<results>/{study}/tables/pair_scores.csv",
    output:
        **figure_files("pair_r2_{model}", "Pairs", figure="hidden layers", model="{model}"),
    log:
        "<logs>/{study}/figures/pair_r2_{model}.log",
    benchmark:
        "<benchmarks>/{study}/figures/pair_r2_{model}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        model=PAIR_MODELS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        caption=caption_of,
        model=lambda wildcards: wildcards.model,
        roi=first_roi,
        hidden=hidden_layers,
        measure="r2",
        title=setting("title"),
        simulated=is_simulated,
        published=pair_setting("published", "hidden_layers"),
        code=script_digest("dissimilarity/figures/plot_pair_r2.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_pair_r2.py"


rule plot_true_predicted:
    """Draw a subject's RDM beside the one that the best model predicts for images it never saw."""
    input:
        table="<results>/{study}/tables/pair_scores.csv",
        predictions=of_pair_models("predictions/{subject}_{model}.h5"),
    output:
        **figure_files(
            "true_predicted_{subject}", "Pairs", figure="true and predicted", subject="{subject}"
        ),
    log:
        "<logs>/{study}/figures/true_predicted_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/figures/true_predicted_{subject}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        subject=PAIR_SUBJECTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=MB_OF_PAIRS["plot_true_predicted"],
        runtime=minutes(10),
    params:
        caption=caption_of,
        place=shown_place,
        model=pair_setting("shown_model"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("dissimilarity/figures/plot_true_predicted.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_true_predicted.py"


rule plot_loss_curves:
    """Draw the learning curves of a network of pairs."""
    input:
        history="<results>/{study}/models/{subject}_{model}_history.csv",
    output:
        **figure_files(
            "loss_curves_{subject}_{model}", "Pairs", figure="learning curves", model="{model}"
        ),
    log:
        "<logs>/{study}/figures/loss_curves_{subject}_{model}.log",
    benchmark:
        "<benchmarks>/{study}/figures/loss_curves_{subject}_{model}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        subject=PAIR_SUBJECTS,
        model=PAIR_MODELS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        caption=caption_of,
        fit=shown_fit,
        measure="loss",
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("dissimilarity/figures/plot_loss_curves.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_loss_curves.py"


rule plot_model_ranking:
    """Draw models in the order of their scores, with intervals and the ceiling."""
    input:
        table="<results>/{study}/tables/pair_scores.csv",
        ranking="<results>/{study}/tables/model_ranking.csv",
        ceilings="<results>/{study}/tables/ceilings.csv",
    output:
        **figure_files("model_ranking_{split}", "Pairs", figure="models", split="{split}"),
    log:
        "<logs>/{study}/figures/model_ranking_{split}.log",
    benchmark:
        "<benchmarks>/{study}/figures/model_ranking_{split}.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
        split="clean|one_seen|leaked",
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        caption=caption_of,
        roi=first_roi,
        split=lambda wildcards: wildcards.split,
        measure="spearman",
        title=setting("title"),
        simulated=is_simulated,
        controls=shuffled_models,
        published=pair_setting("published", "ranking"),
        code=script_digest("dissimilarity/figures/plot_model_ranking.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_model_ranking.py"


rule plot_inflation:
    """Draw what leakage adds to every model's score."""
    input:
        table="<results>/{study}/tables/pair_scores.csv",
        inflation="<results>/{study}/tables/inflation.csv",
    output:
        **figure_files("inflation", "Pairs", figure="leaked against clean"),
    log:
        "<logs>/{study}/figures/inflation.log",
    benchmark:
        "<benchmarks>/{study}/figures/inflation.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        caption=caption_of,
        roi=first_roi,
        measure="r2",
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("dissimilarity/figures/plot_inflation.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_inflation.py"


rule plot_subject_rois:
    """Draw the score on clean splits of every subject and ROI."""
    input:
        table="<results>/{study}/tables/pair_scores.csv",
    output:
        **figure_files("subject_rois", "Pairs", figure="subjects and ROIs"),
    log:
        "<logs>/{study}/figures/subject_rois.log",
    benchmark:
        "<benchmarks>/{study}/figures/subject_rois.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        caption=caption_of,
        model=pair_setting("shown_model"),
        measure="spearman",
        alpha=0.05,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("dissimilarity/figures/plot_subject_rois.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_subject_rois.py"


rule plot_training_size:
    """Draw scores against the number of training images."""
    input:
        table="<results>/{study}/tables/pair_scores.csv",
        ceilings="<results>/{study}/tables/ceilings.csv",
    output:
        **figure_files("training_size", "Pairs", figure="training images"),
    log:
        "<logs>/{study}/figures/training_size.log",
    benchmark:
        "<benchmarks>/{study}/figures/training_size.tsv"
    wildcard_constraints:
        study=PAIR_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(0),
        runtime=minutes(10),
    params:
        caption=caption_of,
        roi=first_roi,
        measure="spearman",
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("dissimilarity/figures/plot_training_size.py"),
    script:
        "../../../../scripts/dissimilarity/figures/plot_training_size.py"
