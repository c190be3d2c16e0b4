# Deep networks compared with human fMRI, from raw files to a report.
#
#   snakemake --cores all                                     the embedded default (simulated)
#   snakemake --cores all --configfile config/full.yaml       the real studies
#   snakemake --cores 2 results/demo/bold5000/figures/heatmap_CSI1.png      one figure
#
# Shared stages are written once in workflow/rules/stages; what only one study has stands in
# workflow/rules/studies. config/README.md explains every key of the config.

from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/targets.smk"


report: "workflow/report/workflow.rst"


pathvars:
    results=f"results/{config['run']}",
    logs=f"results/{config['run']}/logs",
    benchmarks=f"results/{config['run']}/benchmarks",
    resources=RESOURCES,
    simulated=simulated_folder(config["run"]),


include: "workflow/rules/stages/acquire.smk"
include: "workflow/rules/stages/patterns.smk"
include: "workflow/rules/stages/rdms.smk"
include: "workflow/rules/stages/features.smk"
include: "workflow/rules/stages/train.smk"
include: "workflow/rules/stages/embed.smk"
include: "workflow/rules/stages/compare.smk"
include: "workflow/rules/stages/infer.smk"
include: "workflow/rules/stages/searchlight.smk"
include: "workflow/rules/stages/figures.smk"
include: "workflow/rules/stages/report.smk"


# Every study there is: one is added or deleted by its own files alone (CONTRIBUTING.md).
for file in STUDY_FILES:

    include: file


rule all:
    default_target: True
    input:
        targets,
        "<results>/provenance.json",
        "<results>/figures/cost.png",
    localrule: True


onstart:
    note_run()
    remove_leftovers(
        f"results/{config['run']}", simulated_folder(config["run"]), f"{RESOURCES}/.kept"
    )
    keep_files(RESOURCES, all_registered())
    start_jobs_at_once()
    print(download_notice())


onerror:
    end_run()
    print(failure_notice())


onsuccess:
    end_run()
    print(closing_notice())
