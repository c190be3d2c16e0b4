# Stand-ins: a network sees other pictures of the categories of a study without public stimuli.
#
# In: pictures of other data sets, weights. Out: <results>/<study>/features/rdms/model_<network>.h5
# over categories, which the stage features takes as a model with `made: true`.


include: "stand_ins_functions.smk"


rule compute_stand_in_rdms:
    """Show a network other pictures of each category, and compare the categories in every layer."""
    input:
        pictures=stand_in_files,
        weights=stand_in_weights,
    output:
        rdms="<results>/{study}/features/rdms/model_{model}.h5",
    log:
        "<logs>/{study}/features/model_{model}.log",
    benchmark:
        "<benchmarks>/{study}/features/model_{model}.tsv"
    wildcard_constraints:
        study=studies_with_stand_ins(),
    conda:
        "../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(30),
        gpu=1,
    params:
        network=stand_in_setting("network"),
        weights=stand_in_setting("weights"),
        layers=stand_in_setting("layers"),
        pictures=stand_in_setting("pictures"),
        scrambled=stand_in_setting("scrambled"),
        root=RESOURCES,
        seed=config["seed"],
        code=script_digest("stand_ins/compute_stand_in_rdms.py"),
    script:
        "../../../scripts/stand_ins/compute_stand_in_rdms.py"
