# Stage report: what a reader of the results needs beside the figures.
#
# In: tables of a study, and everything else that a run made.
# Out: <results>/<study>/tables/summary.{csv,html}, and layers.html, layer_differences.html,
# layer_centre.html and held_out.html where a study has such tables,
# <results>/<study>/explorer.html, methods.md and methods.html, <results>/provenance.json, over all
# studies that can answer claims <results>/tables/scorecard.{csv,html} and
# <results>/figures/scorecard.png, and what the run cost: <results>/tables/cost.{csv,html},
# cost_jobs.csv, <results>/figures/cost.png.
# The report itself is Snakemake's: `make report` writes <results>/report.html.


include: "report_functions.smk"


rule summarise_study:
    """Gather a study's layer x ROI table over subjects, for the report."""
    input:
        rsa_tables(joint=True),
    output:
        table="<results>/{study}/tables/summary.csv",
        html=report(
            "<results>/{study}/tables/summary.html",
            caption="../../report/summary_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "layer x ROI similarities"},
        ),
    log:
        "<logs>/{study}/tables/summary.log",
    benchmark:
        "<benchmarks>/{study}/tables/summary.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        title=setting("title"),
        simulated=is_simulated,
        # For the caption.
        resample=setting("inference", "resample"),
        n_permutations=setting("inference", "n_permutations"),
        permuted=permuted,
        code=script_digest("report/summarise_study.py"),
    script:
        "../../../scripts/report/summarise_study.py"


rule gather_tables:
    """Gather what is inferred about layers over subjects, for the report."""
    input:
        layers=subject_files("tables/layers_{subject}.csv"),
        differences=subject_files("tables/layer_differences_{subject}.csv"),
        centre=subject_files("tables/layer_centre_{subject}.csv"),
    output:
        layers=report(
            "<results>/{study}/tables/layers.html",
            caption="../../report/layers_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "layers: best, interaction, ceiling"},
        ),
        differences=report(
            "<results>/{study}/tables/layer_differences.html",
            caption="../../report/layer_differences_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "differences between layers"},
        ),
        centre=report(
            "<results>/{study}/tables/layer_centre.html",
            caption="../../report/layer_centre_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "layer centres"},
        ),
    log:
        "<logs>/{study}/tables/layers_html.log",
    benchmark:
        "<benchmarks>/{study}/tables/layers_html.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        # For the captions.
        resample=setting("inference", "resample"),
        n_folds=setting("inference", "cross_validation"),
        code=script_digest("report/gather_tables.py"),
    script:
        "../../../scripts/report/gather_tables.py"


use rule gather_tables as gather_held_out with:
    """Gather how layers and mixtures fare on images that did not choose them, for the report."""
    input:
        held_out=subject_files("tables/held_out_{subject}.csv", joint=False),
    output:
        held_out=report(
            "<results>/{study}/tables/held_out.html",
            caption="../../report/held_out_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "layers, held out"},
        ),
    log:
        "<logs>/{study}/tables/held_out_html.log",
    benchmark:
        "<benchmarks>/{study}/tables/held_out_html.tsv"


rule write_explorer:
    """Write a page in which hovering over an RDM cell or a pair shows which two images it is."""
    input:
        template=own_file("workflow/report/explorer.html"),
        table=summary_table,
        brain=summary_brain_rdms,
        models=model_rdms,
        images="<results>/{study}/rdms/images.csv",
        stimuli=stimulus_raw_files,
    output:
        report(
            "<results>/{study}/explorer.html",
            caption="../../report/explorer.rst",
            category="{study}",
            subcategory="Data",
            labels={"item": "RDM explorer"},
        ),
    log:
        "<logs>/{study}/explorer.log",
    benchmark:
        "<benchmarks>/{study}/explorer.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4),
        runtime=minutes(20),
    params:
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        stimuli=stimuli_source,
        match=setting("images", "match"),
        folder=raw_folder_of,
        code=script_digest("report/write_explorer.py"),
    script:
        "../../../scripts/report/write_explorer.py"


rule write_methods:
    """Write what a study did, from its config and its tables, as text for a paper."""
    input:
        unpack(methods_tables),
        bibliography=own_file("config/references.bib"),
        citation=own_file("CITATION.cff"),
        requirements=own_file("requirements.txt"),
    output:
        text="<results>/{study}/methods.md",
        html=report(
            "<results>/{study}/methods.html",
            caption="../../report/methods.rst",
            category="{study}",
            subcategory="Methods",
            labels={"item": "methods, for a paper"},
        ),
    log:
        "<logs>/{study}/methods.log",
    benchmark:
        "<benchmarks>/{study}/methods.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        entries=told_entries,
        title=setting("title"),
        simulated=is_simulated,
        seed=config["seed"],
        citations=data_citations,
        sections=methods_digest,
        code=script_digest("report/write_methods.py"),
    script:
        "../../../scripts/report/write_methods.py"


rule score_claims:
    """Set the claims of the original studies beside what this run finds, with verdicts by rules."""
    input:
        unpack(claimed_tables),
        claims=[own_file(claims_file(section)) for section in claimed_sections()],
    output:
        table="<results>/tables/scorecard.csv",
        html=report(
            "<results>/tables/scorecard.html",
            caption="../../report/scorecard.rst",
            category="Scorecard",
            labels={"item": "claims of the originals, and what is found"},
        ),
    log:
        "<logs>/tables/scorecard.log",
    benchmark:
        "<benchmarks>/tables/scorecard.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        sections=claimed_sections(),
        studies=claims_of_run,
        code=script_digest("report/score_claims.py"),
    script:
        "../../../scripts/report/score_claims.py"


rule plot_scorecard:
    """Draw the scorecard: a line per claim, what is found, and the verdict."""
    input:
        table="<results>/tables/scorecard.csv",
    output:
        png=report(
            "<results>/figures/scorecard.png",
            caption="../../report/figure.rst",
            category="Scorecard",
            labels={"item": "scorecard"},
        ),
        svg="<results>/figures/scorecard.svg",
        text="<results>/figures/scorecard.rst",
    log:
        "<logs>/figures/scorecard.log",
    benchmark:
        "<benchmarks>/figures/scorecard.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        # Where real and simulated studies stand side by side, rows say which is which.
        simulated=all_simulated,
        code=script_digest("report/plot_scorecard.py"),
    script:
        "../../../scripts/report/plot_scorecard.py"


rule write_provenance:
    """Record what a run was made of: commit, config, raw files, versions, device, seconds."""
    input:
        raw=all_raw_files,
        # Everything else comes first, so that the seconds of every rule are there.
        results=lambda wildcards: targets(wildcards),
        requirements=own_file("requirements.txt"),
    output:
        report(
            "<results>/provenance.json",
            caption="../../report/provenance.rst",
            category="Provenance",
            labels={"item": "commit, config, checksums, versions, device, seconds"},
        ),
    log:
        "<logs>/provenance.log",
    localrule: True
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(60),
    params:
        config=config,
        benchmarks=f"results/{config['run']}/benchmarks",
        code=script_digest("report/write_provenance.py"),
    script:
        "../../../scripts/report/write_provenance.py"


rule tabulate_costs:
    """Gather the time and memory that every job took; no two runs measure the same."""
    input:
        # Everything else comes first, and any job that runs again is told anew.
        lambda wildcards: targets(wildcards),
    output:
        table="<results>/tables/cost.csv",
        jobs="<results>/tables/cost_jobs.csv",
        html=report(
            "<results>/tables/cost.html",
            caption="../../report/cost_table.rst",
            category="Cost",
            labels={"item": "seconds and memory of every rule"},
        ),
    log:
        "<logs>/tables/cost.log",
    localrule: True
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(10),
    params:
        jobs=jobs_before,
        benchmarks=f"results/{config['run']}/benchmarks",
        code=script_digest("report/tabulate_costs.py"),
    script:
        "../../../scripts/report/tabulate_costs.py"


rule plot_costs:
    """Draw what rules took, the most expensive ones by name."""
    input:
        table="<results>/tables/cost.csv",
    output:
        png=report(
            "<results>/figures/cost.png",
            caption="../../report/figure.rst",
            category="Cost",
            labels={"item": "the most expensive rules"},
        ),
        svg="<results>/figures/cost.svg",
        text="<results>/figures/cost.rst",
    log:
        "<logs>/figures/cost.log",
    localrule: True
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        run=config["run"],
        # Costs are measured, whatever the data is.
        simulated=False,
        code=script_digest("report/plot_costs.py"),
    script:
        "../../../scripts/report/plot_costs.py"
