# Figures of the reconstruction studies, from tables and reconstructions alone.


rule plot_reconstructions:
    """Draw what was seen, the decoded shape and the reconstruction, from the best to the worst."""
    input:
        images="<results>/{study}/features/images.npz",
        shapes=shapes_of_reference,
        reconstructions=reconstructions_of_reference,
        scores="<results>/{study}/tables/reconstruction_scores.csv",
    output:
        **figure_files("reconstructions_{part}", "Reconstructions", figure="seen and drawn"),
    log:
        "<logs>/{study}/figures/reconstructions_{part}.log",
    benchmark:
        "<benchmarks>/{study}/figures/reconstructions_{part}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        part=RECONSTRUCTION_TESTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        generator=setting("evaluation", "reference"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_reconstructions.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_reconstructions.py"


rule plot_controls:
    """Draw the same images by all generators and baselines."""
    input:
        images="<results>/{study}/features/images.npz",
        reconstructions=reconstructions_of_subject,
        scores="<results>/{study}/tables/reconstruction_scores.csv",
    output:
        **figure_files("controls_{part}_{subject}", "Reconstructions", figure="all generators"),
    log:
        "<logs>/{study}/figures/controls_{part}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/figures/controls_{part}_{subject}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        subject=RECONSTRUCTION_SUBJECTS,
        part=RECONSTRUCTION_TESTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        subject=lambda wildcards: wildcards.subject,
        told=told_to_generators,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_controls.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_controls.py"


rule plot_identification:
    """Draw how well reconstructions are identified, and how alike their pixels are."""
    input:
        means="<results>/{study}/tables/reconstruction_means.csv",
    output:
        **figure_files("identification_{part}", "Reconstructions", figure="identification"),
    log:
        "<logs>/{study}/figures/identification_{part}.log",
    benchmark:
        "<benchmarks>/{study}/figures/identification_{part}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        part=RECONSTRUCTION_TESTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        generators=generators_drawn,
        reference=setting("evaluation", "reference"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_identification.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_identification.py"


rule plot_ablations:
    """Draw how much worse reconstructions are without a stream, or from another region."""
    input:
        differences="<results>/{study}/tables/ablations.csv",
    output:
        **figure_files("ablations_{part}", "Reconstructions", figure="ablations"),
    log:
        "<logs>/{study}/figures/ablations_{part}.log",
    benchmark:
        "<benchmarks>/{study}/figures/ablations_{part}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        part=RECONSTRUCTION_TESTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        others=others_drawn,
        reference=setting("evaluation", "reference"),
        told=told_to_generators,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_ablations.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_ablations.py"


rule plot_decoders:
    """Draw how well shapes and categories are decoded, by decoder and region."""
    input:
        means="<results>/{study}/tables/decoder_means.csv",
    output:
        **figure_files("decoders_{part}", "Decoders", figure="shape and category"),
    log:
        "<logs>/{study}/figures/decoders_{part}.log",
    benchmark:
        "<benchmarks>/{study}/figures/decoders_{part}.tsv"
    wildcard_constraints:
        study=RECONSTRUCTION_STUDIES,
        part=RECONSTRUCTION_PARTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        decoders=decoders_drawn,
        rois=rois_of_decoders,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_decoders.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_decoders.py"


rule plot_shapes:
    """Draw images, the shapes to decode and the shapes that were decoded, from best to worst."""
    input:
        images="<results>/{study}/features/images.npz",
        shapes=all_shapes,
        scores="<results>/{study}/tables/shape_scores.csv",
    output:
        **figure_files("shapes_{part}", "Decoders", figure="decoded shapes"),
    log:
        "<logs>/{study}/figures/shapes_{part}.log",
    benchmark:
        "<benchmarks>/{study}/figures/shapes_{part}.tsv"
    wildcard_constraints:
        study=RECONSTRUCTION_STUDIES,
        part=RECONSTRUCTION_PARTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_shapes.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_shapes.py"


rule plot_image_clusters:
    """Draw how many clusters fit the training images, and images of each cluster."""
    input:
        images="<results>/{study}/features/images.npz",
        choice="<results>/{study}/tables/cluster_choice.csv",
        clusters="<results>/{study}/tables/image_clusters.csv",
    output:
        **figure_files("image_clusters", "Decoders", figure="clusters of images"),
    log:
        "<logs>/{study}/figures/image_clusters.log",
    benchmark:
        "<benchmarks>/{study}/figures/image_clusters.tsv"
    wildcard_constraints:
        study=CLUSTERED_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        network=network_of_clusters,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_image_clusters.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_image_clusters.py"


rule plot_semantic_confusion:
    """Draw which clusters of images are decoded as which."""
    input:
        confusion="<results>/{study}/tables/semantic_confusion.csv",
    output:
        **figure_files("semantic_confusion_{part}", "Decoders", figure="confusion of categories"),
    log:
        "<logs>/{study}/figures/semantic_confusion_{part}.log",
    benchmark:
        "<benchmarks>/{study}/figures/semantic_confusion_{part}.tsv"
    wildcard_constraints:
        study=CLUSTERED_STUDIES,
        part=RECONSTRUCTION_PARTS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        decoders=semantic_decoders_drawn,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_semantic_confusion.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_semantic_confusion.py"


rule plot_samples:
    """Draw the same validation images as training goes on."""
    input:
        samples="<results>/{study}/models/generator_{generator}_{subject}_samples.npz",
    output:
        **figure_files("samples_{generator}_{subject}", "Training", figure="samples by epoch"),
    log:
        "<logs>/{study}/figures/samples_{generator}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/figures/samples_{generator}_{subject}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        subject=RECONSTRUCTION_SUBJECTS,
        generator=GENERATORS,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        generator=lambda wildcards: wildcards.generator,
        subject=lambda wildcards: wildcards.subject,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/figures/plot_samples.py"),
    script:
        "../../../../scripts/reconstruction/figures/plot_samples.py"
