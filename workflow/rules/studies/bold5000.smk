# Study bold5000: ResNet-50 layers against BOLD5000 ROIs (Pickard et al. 2023).
#
# The comparison itself is the generic layer x ROI study; here stands what only this study has:
# its simulator, the check that planted layers are recovered, and the figures of the original.


include: "bold5000_functions.smk"


rule simulate_bold5000:
    """Write simulated raw files in the published layout, with planted layers."""
    output:
        expand("<simulated>/{{folder}}/{file}", file=BOLD5000_RAW_FILES),
        truth="<simulated>/{folder}/truth.csv",
    log:
        "<logs>/simulated/{folder}.log",
    benchmark:
        "<benchmarks>/simulated/{folder}.tsv"
    wildcard_constraints:
        folder=one_of(simulations("bold5000")),
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(20),
    params:
        n_images=lambda wildcards: simulations("bold5000")[wildcards.folder]["n_images"],
        null_effect=lambda wildcards: simulations("bold5000")[wildcards.folder]["null_effect"],
        seed=config["seed"],
        code=script_digest("bold5000/simulate_bold5000.py"),
    script:
        "../../../scripts/bold5000/simulate_bold5000.py"


rule check_recovery:
    """Compare the layers found for each ROI with the layers planted in the simulation."""
    input:
        tables=rsa_tables(joint=True),
        truth=lambda wildcards: f"{raw_folder_of(wildcards)}/truth.csv",
    output:
        table="<results>/{study}/tables/recovery.csv",
        html=report(
            "<results>/{study}/tables/recovery.html",
            caption="../../report/recovery_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "planted layers"},
        ),
    log:
        "<logs>/{study}/tables/recovery.log",
    benchmark:
        "<benchmarks>/{study}/tables/recovery.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        comparator=first_comparator,
        model=config["bold5000"]["published_model"],
        alpha=setting("inference", "alpha"),
        code=script_digest("bold5000/check_recovery.py"),
    script:
        "../../../scripts/bold5000/check_recovery.py"


rule plot_tiers:
    """Draw the tiers of the visual hierarchy over the layers: lines per tier, dots per ROI."""
    input:
        rsa_tables(joint=True),
    output:
        **figure_files("tiers", "Layer x ROI", figure="tiers"),
    log:
        "<logs>/{study}/figures/tiers.log",
    benchmark:
        "<benchmarks>/{study}/figures/tiers.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        comparator=first_comparator,
        model=config["bold5000"]["published_model"],
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        tiers=config["bold5000"]["tiers"],
        roi_groups=setting("roi_groups"),
        code=script_digest("bold5000/plot_tiers.py"),
    script:
        "../../../scripts/bold5000/plot_tiers.py"


rule tabulate_latency:
    """Set response onsets of areas, from the literature, beside where along the layers they lie."""
    input:
        tables=rsa_tables(joint=True),
        onsets=config["bold5000"]["onset_latency"],
    output:
        table="<results>/{study}/tables/latency.csv",
        statistics="<results>/{study}/tables/latency_statistics.csv",
        html=report(
            "<results>/{study}/tables/latency.html",
            caption="../../report/latency_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "response onsets"},
        ),
    log:
        "<logs>/{study}/tables/latency.log",
    benchmark:
        "<benchmarks>/{study}/tables/latency.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        comparator=first_comparator,
        model=config["bold5000"]["published_model"],
        roi_groups=setting("roi_groups"),
        simulated=is_simulated,
        code=script_digest("bold5000/tabulate_latency.py"),
    script:
        "../../../scripts/bold5000/tabulate_latency.py"


rule plot_latency:
    """Draw response onsets of areas against their layer centre of mass."""
    input:
        table="<results>/{study}/tables/latency.csv",
        statistics="<results>/{study}/tables/latency_statistics.csv",
    output:
        **figure_files("latency", "Layer x ROI", figure="latency"),
    log:
        "<logs>/{study}/figures/latency.log",
    benchmark:
        "<benchmarks>/{study}/figures/latency.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        n_layers=lambda wildcards: len(
            axis_names(
                config["rsa"][wildcards.study]["models"][config["bold5000"]["published_model"]],
                "layer",
            )
        ),
        code=script_digest("bold5000/plot_latency.py"),
    script:
        "../../../scripts/bold5000/plot_latency.py"


rule compare_published:
    """Set the correlations of the published figures beside ours, cell by cell."""
    input:
        tables=rsa_tables(joint=True),
        published=config["bold5000"]["published"],
    output:
        "<results>/{study}/tables/published.csv",
    log:
        "<logs>/{study}/tables/published.log",
    benchmark:
        "<benchmarks>/{study}/tables/published.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        model=config["bold5000"]["published_model"],
        code=script_digest("bold5000/compare_published.py"),
    script:
        "../../../scripts/bold5000/compare_published.py"


rule plot_published:
    """Draw published against our correlations, for the published and the full set of images."""
    input:
        lambda wildcards: [
            f"<results>/{study}/tables/published.csv"
            for study in published_studies(wildcards.study)
        ],
    output:
        **figure_files("published", "Layer x ROI", figure="published against ours"),
    log:
        "<logs>/{study}/figures/published.log",
    benchmark:
        "<benchmarks>/{study}/figures/published.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        study_titles=lambda wildcards: [
            config["rsa"][study]["title"] for study in published_studies(wildcards.study)
        ],
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("bold5000/plot_published.py"),
    script:
        "../../../scripts/bold5000/plot_published.py"
