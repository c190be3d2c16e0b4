# Simulated subjects of the digits studies, and whether the maps find what was planted in them.
#
# In: the RDMs of the trained network's layers and of the codes, over categories; maps of the group.
# Out: <simulated>/<folder>/ with sub-<subject>_betas.nii.gz, observations.csv, mask.nii.gz,
# region_<region>.nii.gz, truth.nii.gz and truth.csv;
# <results>/<study>/tables/map_recovery.{csv,html}.


include: "subjects_functions.smk"


rule simulate_digit_subjects:
    """Simulate the betas of subjects with regions for layers of the network and for codes."""
    input:
        models=planted_models,
    output:
        expand("<simulated>/{{folder}}/sub-{subject}_betas.nii.gz", subject=PLANTED_SUBJECTS),
        expand("<simulated>/{{folder}}/region_{region}.nii.gz", region=PLANTED_REGIONS),
        "<simulated>/{folder}/observations.csv",
        mask="<simulated>/{folder}/mask.nii.gz",
        regions="<simulated>/{folder}/truth.nii.gz",
        truth="<simulated>/{folder}/truth.csv",
    log:
        "<logs>/simulated/{folder}_subjects.log",
    benchmark:
        "<benchmarks>/simulated/{folder}_subjects.tsv"
    wildcard_constraints:
        folder=one_of(simulations("digits")),
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        null_effect=lambda wildcards: simulations("digits")[wildcards.folder]["null_effect"],
        seed=config["seed"],
        code=script_digest("digits/data/simulate_digit_subjects.py"),
    script:
        "../../../../scripts/digits/data/simulate_digit_subjects.py"


rule check_map_recovery:
    """Compare the maps of the group with the regions that were planted in the simulation."""
    input:
        regions=planted_file("truth.nii.gz"),
        truth=planted_file("truth.csv"),
        mean_z="<results>/{study}/maps/mean_z_group.nii.gz",
        p=searchlight_p,
        table="<results>/{study}/tables/searchlight_group.csv",
    output:
        table="<results>/{study}/tables/map_recovery.csv",
        html=report(
            "<results>/{study}/tables/map_recovery.html",
            caption="../../../report/map_recovery_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "planted and found regions"},
        ),
    log:
        "<logs>/{study}/tables/map_recovery.log",
    benchmark:
        "<benchmarks>/{study}/tables/map_recovery.tsv"
    wildcard_constraints:
        study=WITH_PLANTED_REGIONS,
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        layer_groups=planted_layer_groups,
        radius=setting("searchlight", "radius"),
        unit=setting("searchlight", "unit"),
        code=script_digest("digits/regions/check_map_recovery.py"),
    script:
        "../../../../scripts/digits/regions/check_map_recovery.py"
