# Stage figures: tables -> figures, each as PNG, SVG and a caption (.rst) with its numbers.
#
# In: <results>/<study>/tables/ (and the RDMs themselves for the RDM panels).
# Out: <results>/<study>/figures/. Figures read tables only: a restyle recomputes nothing.


rule plot_heatmap:
    """Draw one subject's layer x ROI similarities: heatmap and grouped bars side by side."""
    input:
        "<results>/{study}/tables/rsa_{subject}.csv",
    output:
        **figure_files("heatmap_{subject}", "Layer x ROI", figure="heatmap", subject="{subject}"),
    log:
        "<logs>/{study}/figures/heatmap_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/figures/heatmap_{subject}.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        alpha=setting("inference", "alpha"),
        permuted=permuted,
        roi_groups=setting("roi_groups"),
        resample=setting("inference", "resample"),
        code=script_digest("figures/plot_heatmap.py"),
    script:
        "../../../scripts/figures/plot_heatmap.py"


rule plot_layer_profile:
    """Draw similarity over layers per ROI: every subject, their mean, and the noise ceiling."""
    input:
        tables=rsa_tables(joint=False),
        ceiling=of_several_subjects("tables/noise_ceiling.csv"),
    output:
        **figure_files("layer_profile", "Layer x ROI", figure="layer profile"),
    log:
        "<logs>/{study}/figures/layer_profile.log",
    benchmark:
        "<benchmarks>/{study}/figures/layer_profile.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        ordered=lambda wildcards: ordered_models(wildcards.study),
        resample=setting("inference", "resample"),
        code=script_digest("figures/plot_layer_profile.py"),
    script:
        "../../../scripts/figures/plot_layer_profile.py"


rule plot_layer_preference:
    """Draw which layers each ROI prefers: centre of mass, chance of being the best, interaction."""
    input:
        layers=lambda wildcards: (
            f"<results>/{wildcards.study}/tables/layers_{summary_subject(wildcards.study)}.csv"
        ),
        centres=subject_files("tables/layer_centre_{subject}.csv"),
    output:
        **figure_files("layer_preference", "Layer x ROI", figure="preferred layers"),
    log:
        "<logs>/{study}/figures/layer_preference.log",
    benchmark:
        "<benchmarks>/{study}/figures/layer_preference.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        resample=setting("inference", "resample"),
        code=script_digest("figures/plot_layer_preference.py"),
    script:
        "../../../scripts/figures/plot_layer_preference.py"


rule plot_variance_partition:
    """Draw what models explain of each ROI: each alone, and what several have in common."""
    input:
        "<results>/{study}/tables/variance_partition.csv",
    output:
        **figure_files("variance_partition", "Layer x ROI", figure="variance partitioning"),
    log:
        "<logs>/{study}/figures/variance_partition.log",
    benchmark:
        "<benchmarks>/{study}/figures/variance_partition.tsv"
    wildcard_constraints:
        study=studies_that_set("partition"),
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_partial_comparator,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        resample=setting("inference", "resample"),
        code=script_digest("figures/plot_variance_partition.py"),
    script:
        "../../../scripts/figures/plot_variance_partition.py"


rule plot_roi_groups:
    """Draw the mean similarity over groups of ROIs, such as both hemispheres of an area."""
    input:
        rsa_tables(joint=True),
    output:
        **figure_files("roi_groups", "Layer x ROI", figure="ROI groups"),
    log:
        "<logs>/{study}/figures/roi_groups.log",
    benchmark:
        "<benchmarks>/{study}/figures/roi_groups.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        roi_groups=setting("roi_groups"),
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        code=script_digest("figures/plot_roi_groups.py"),
    script:
        "../../../scripts/figures/plot_roi_groups.py"


rule plot_noise_ceiling:
    """Draw the noise ceiling of every ROI, with each subject's share in it."""
    input:
        "<results>/{study}/tables/noise_ceiling.csv",
    output:
        **figure_files("noise_ceiling", "Data", figure="noise ceiling"),
    log:
        "<logs>/{study}/figures/noise_ceiling.log",
    benchmark:
        "<benchmarks>/{study}/figures/noise_ceiling.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        code=script_digest("figures/plot_noise_ceiling.py"),
    script:
        "../../../scripts/figures/plot_noise_ceiling.py"


rule plot_radar:
    """Draw a radar chart: ROIs around the circle, one line per layer."""
    input:
        summary_table,
    output:
        **figure_files("radar", "Layer x ROI", figure="radar"),
    log:
        "<logs>/{study}/figures/radar.log",
    benchmark:
        "<benchmarks>/{study}/figures/radar.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        code=script_digest("figures/plot_radar.py"),
    script:
        "../../../scripts/figures/plot_radar.py"


rule plot_surface:
    """Draw the layer x ROI similarities as a surface over the table."""
    input:
        summary_table,
    output:
        **figure_files("surface", "Layer x ROI", figure="surface"),
    log:
        "<logs>/{study}/figures/surface.log",
    benchmark:
        "<benchmarks>/{study}/figures/surface.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        code=script_digest("figures/plot_surface.py"),
    script:
        "../../../scripts/figures/plot_surface.py"


rule plot_rdms:
    """Draw the RDMs that are compared: every ROI and every layer, images sorted by group."""
    input:
        brain=summary_brain_rdms,
        models=model_rdms,
    output:
        **figure_files("rdms", "Data", figure="RDMs"),
    log:
        "<logs>/{study}/figures/rdms.log",
    benchmark:
        "<benchmarks>/{study}/figures/rdms.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        code=script_digest("figures/plot_rdms.py"),
    script:
        "../../../scripts/figures/plot_rdms.py"


rule plot_composition:
    """Draw which images the files share and which are lost, by image group."""
    input:
        images="<results>/{study}/rdms/images.csv",
        unmatched="<results>/{study}/rdms/unmatched_images.csv",
    output:
        **figure_files("composition", "Data", figure="composition"),
    log:
        "<logs>/{study}/figures/composition.log",
    benchmark:
        "<benchmarks>/{study}/figures/composition.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        match=setting("images", "match"),
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        code=script_digest("figures/plot_composition.py"),
    script:
        "../../../scripts/figures/plot_composition.py"


rule plot_encoding:
    """Draw RSA and ridge encoding over the same layers and ROIs, with the layer each prefers."""
    input:
        rsa=rsa_tables(joint=False),
        encoding=encoding_tables,
    output:
        **figure_files("encoding", "Layer x ROI", figure="RSA and encoding"),
    log:
        "<logs>/{study}/figures/encoding.log",
    benchmark:
        "<benchmarks>/{study}/figures/encoding.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        n_folds=setting("encoding", "folds"),
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        code=script_digest("figures/plot_encoding.py"),
    script:
        "../../../scripts/figures/plot_encoding.py"
