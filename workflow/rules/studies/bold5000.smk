# Study bold5000: ResNet-50 layers against BOLD5000 ROIs (Pickard et al. 2023).
#
# The comparison itself is the generic layer x ROI study; here stands what only this study has:
# its simulator, the check that planted layers are recovered, and the figures of the original.

BOLD5000_RAW_FILES = [
    "ResNet50_CORR_RDMs.h5",
    *(f"CSI{i}_BOLD5000_CORR_RDMs.h5" for i in range(1, 5)),
]
BOLD5000_SIMULATIONS = {
    entry["simulation"]["folder"]: entry["simulation"]
    for name, entry in config["rsa"].items()
    if entry["source"] == "simulated" and entry["dataset"] == "bold5000"
}


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
        folder=one_of(BOLD5000_SIMULATIONS),
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        n_images=lambda wildcards: BOLD5000_SIMULATIONS[wildcards.folder]["n_images"],
        null_effect=lambda wildcards: BOLD5000_SIMULATIONS[wildcards.folder]["null_effect"],
        seed=config["seed"],
        code=script_digest("bold5000/simulate_bold5000.py"),
    script:
        "../../../scripts/bold5000/simulate_bold5000.py"
