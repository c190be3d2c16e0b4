# What a network of the emotions studies looks at.
#
# In: time series, labels, networks of all folds of a split and their predictions.
# Out: <results>/<study>/features/occlusion_vectors.h5, what covering test volumes cube by cube costs.


rule occlude_volumes:
    """Cover test volumes cube by cube, and measure what their own network then loses."""
    input:
        series=all_timeseries,
        labels="<results>/{study}/tables/labels.csv",
        networks=of_covered("models/{model}_{split}.safetensors"),
        predictions=of_covered("models/predictions_{model}_{split}.h5"),
    output:
        "<results>/{study}/features/occlusion_vectors.h5",
    log:
        "<logs>/{study}/features/occlusion_vectors.log",
    benchmark:
        "<benchmarks>/{study}/features/occlusion_vectors.tsv"
    wildcard_constraints:
        study=OCCLUDED_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1,
    params:
        model=lambda wildcards: covered_model(config["emotions"][wildcards.study])[0],
        split=lambda wildcards: covered_model(config["emotions"][wildcards.study])[1],
        cube=movie_setting("occlusion", "cube"),
        stride=movie_setting("occlusion", "stride"),
        min_probability=movie_setting("occlusion", "min_probability"),
        n_per_class=movie_setting("occlusion", "n_per_class"),
        seed=config["seed"],
        code=script_digest("emotions/occlude_volumes.py"),
    script:
        "../../../../scripts/emotions/occlude_volumes.py"


# There is a map of each emotion of an entry, and a table of recovery where the truth is known.
for movie in OCCLUDED_NAMES:

    rule:
        """Average what covering volumes showed into maps, and hold them to others and the truth."""
        name:
            f"compare_occlusion_{movie}"
        input:
            "<results>/{study}/features/occlusion_vectors.h5",
        output:
            **recovery_of_occlusion(movie),
            occlusion=maps_of_emotions(movie, "occlusion"),
            gradients=maps_of_emotions(movie, "gradients"),
            checks=report(
                "<results>/{study}/tables/occlusion_checks.csv",
                caption="../../../report/occlusion_checks_table.rst",
                category="{study}",
                subcategory="Tables",
                labels={"item": "checks of occlusion"},
            ),
            top_voxels=report(
                "<results>/{study}/tables/top_voxels.csv",
                caption="../../../report/top_voxels_table.rst",
                category="{study}",
                subcategory="Tables",
                labels={"item": "voxels with the largest drops"},
            ),
        log:
            "<logs>/{study}/maps/occlusion.log",
        benchmark:
            "<benchmarks>/{study}/maps/occlusion.tsv"
        wildcard_constraints:
            study=re.escape(movie),
        conda:
            "../../../../envs/neuro.yaml"
        threads: 1
        resources:
            mem_mb=size_mb(4, at_least=2000),
            runtime=60,
        params:
            n_top=movie_setting("occlusion", "n_top"),
            n_per_class=movie_setting("occlusion", "n_per_class"),
            simulated=is_simulated,
            code=script_digest("emotions/compare_occlusion.py"),
        script:
            "../../../../scripts/emotions/compare_occlusion.py"
