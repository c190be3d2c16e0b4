# Stage report: what a reader of the results needs beside the figures.
#
# In: tables of a study, and everything else that a run made.
# Out: <results>/<study>/tables/summary.{csv,html}, <results>/<study>/explorer.html,
# <results>/provenance.json.
# The report itself is Snakemake's: `make report` writes <results>/report.html.


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
        mem_mb=1000,
        runtime=10,
    params:
        title=setting("title"),
        simulated=is_simulated,
        # For the caption.
        n_permutations=setting("inference", "n_permutations"),
        within_groups=setting("inference", "within_groups"),
        code=script_digest("report/summarise_study.py"),
    script:
        "../../../scripts/report/summarise_study.py"


rule write_explorer:
    """Write a page in which hovering over an RDM cell or a pair shows which two images it is."""
    input:
        template=workflow.source_path("../../report/explorer.html"),
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
        runtime=20,
    params:
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        stimuli=stimuli_source,
        match=setting("images", "match"),
        folder=raw_folder_of,
        code=script_digest("report/write_explorer.py"),
    script:
        "../../../scripts/report/write_explorer.py"


rule write_provenance:
    """Record what a run was made of: commit, config, raw files, versions, device, seconds."""
    input:
        raw=all_raw_files,
        # Everything else comes first, so that the seconds of every rule are there.
        results=lambda wildcards: targets(wildcards),
        requirements=workflow.source_path("../../../requirements.txt"),
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
        mem_mb=500,
        runtime=60,
    params:
        config=config,
        benchmarks=f"results/{config['run']}/benchmarks",
        code=script_digest("report/write_provenance.py"),
    script:
        "../../../scripts/report/write_provenance.py"
