# Calibration: can the tests and intervals of all studies be believed?
#
# In: nothing but the config; RDMs are simulated in three geometries whose truth is known.
# Out: <results>/calibration/ with tables/calibration.csv (a row per geometry and procedure: how
# often a test rejected a true null, or an interval held the truth) and its figure.


include: "calibration_functions.smk"


rule calibrate_tests:
    """Count how often tests reject true nulls, and intervals hold the truth, on simulated RDMs."""
    output:
        "<results>/calibration/tables/calibration.csv",
    log:
        "<logs>/calibration/tables/calibration.log",
    benchmark:
        "<benchmarks>/calibration/tables/calibration.tsv"
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(60),
    params:
        geometries=config["calibration"]["geometries"],
        design={
            key: config["calibration"][key]
            for key in ("n_images", "n_subjects", "n_permutations", "n_resamples")
        },
        n_simulations=config["calibration"]["n_simulations"],
        seed=config["seed"],
        code=script_digest("calibration/calibrate_tests.py"),
    script:
        "../../../scripts/calibration/calibrate_tests.py"


rule plot_calibration:
    """Draw false-positive rates of tests and coverage of intervals beside their nominal values."""
    input:
        "<results>/calibration/tables/calibration.csv",
    output:
        png=report(
            "<results>/calibration/figures/calibration.png",
            caption="../../report/figure.rst",
            category="calibration",
            subcategory="Tests",
            labels={"figure": "calibration"},
        ),
        svg="<results>/calibration/figures/calibration.svg",
        text="<results>/calibration/figures/calibration.rst",
    log:
        "<logs>/calibration/figures/calibration.log",
    benchmark:
        "<benchmarks>/calibration/figures/calibration.tsv"
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        simulated=True,
        code=script_digest("calibration/plot_calibration.py"),
    script:
        "../../../scripts/calibration/plot_calibration.py"
