# What a network of the emotions studies looks at.
#
# In: time series, labels, networks of all folds of a split and their predictions.
# Out: <results>/<study>/features/occlusion_vectors.h5, what covering test volumes cube by cube
# costs; maps/{occlusion,gradients}_<emotion>.nii.gz, in simulations also planted_<emotion>.nii.gz
# and tables/occlusion_recovery.csv; tables/{occlusion_checks,top_voxels,embedding}.csv and
# embedding_quality.csv; figures/{occlusion,top_voxels,embedding}.


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
        mem_mb=occlusion_mb,
        runtime=minutes(240),
        gpu=1,
    params:
        model=lambda wildcards: covered_model(config["emotions"][wildcards.study])[0],
        split=lambda wildcards: covered_model(config["emotions"][wildcards.study])[1],
        cube=movie_setting("occlusion", "cube"),
        stride=movie_setting("occlusion", "stride"),
        min_probability=movie_setting("occlusion", "min_probability"),
        n_per_class=movie_setting("occlusion", "n_per_class"),
        seed=config["seed"],
        code=script_digest("emotions/maps/occlude_volumes.py"),
    script:
        "../../../../scripts/emotions/maps/occlude_volumes.py"


# There is a map of each emotion of an entry, and a table of recovery where the truth is known.
for movie in OCCLUDED_NAMES:

    rule:
        """Average what covering volumes showed into maps, and hold them to others and the truth."""
        name:
            f"compare_occlusion_{movie}"
        input:
            **truth_of_movie(movie),
            occlusions="<results>/{study}/features/occlusion_vectors.h5",
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
            runtime=minutes(60),
        params:
            n_top=movie_setting("occlusion", "n_top"),
            n_per_class=movie_setting("occlusion", "n_per_class"),
            min_probability=movie_setting("occlusion", "min_probability"),
            simulated=is_simulated,
            seed=config["seed"],
            code=script_digest("emotions/maps/compare_occlusion.py"),
        script:
            "../../../../scripts/emotions/maps/compare_occlusion.py"


rule embed_emotions:
    """Map occluded volumes, voxels and features of a network in a plane."""
    input:
        occlusions="<results>/{study}/features/occlusion_vectors.h5",
        labels="<results>/{study}/tables/labels.csv",
        features=of_covered("features/{model}_{split}.h5"),
        top_voxels="<results>/{study}/tables/top_voxels.csv",
    output:
        places="<results>/{study}/tables/embedding.csv",
        quality=report(
            "<results>/{study}/tables/embedding_quality.csv",
            caption="../../../report/emotion_embedding_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "maps in a plane"},
        ),
    log:
        "<logs>/{study}/tables/embedding.log",
    benchmark:
        "<benchmarks>/{study}/tables/embedding.tsv"
    wildcard_constraints:
        study=OCCLUDED_STUDIES,
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        options=movie_setting("embed"),
        n_per_class=movie_setting("occlusion", "n_per_class"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("emotions/maps/embed_emotions.py"),
    script:
        "../../../../scripts/emotions/maps/embed_emotions.py"


rule plot_occlusion:
    """Draw what a network needs to tell each emotion, in slices and looking through the brain."""
    input:
        maps=lambda wildcards: maps_of_emotions(wildcards.study, "occlusion"),
        checks="<results>/{study}/tables/occlusion_checks.csv",
        planted=planted_maps,
        recovery=recovery_table,
    output:
        **figure_files("occlusion", "Occlusion", figure="maps of occlusion"),
    log:
        "<logs>/{study}/figures/occlusion.log",
    benchmark:
        "<benchmarks>/{study}/figures/occlusion.tsv"
    wildcard_constraints:
        study=OCCLUDED_STUDIES,
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(8, at_least=2000),
        runtime=minutes(10),
    params:
        caption=caption_of,
        cube=movie_setting("occlusion", "cube"),
        stride=movie_setting("occlusion", "stride"),
        min_probability=movie_setting("occlusion", "min_probability"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_occlusion.py"),
    script:
        "../../../../scripts/emotions/figures/plot_occlusion.py"


rule plot_top_voxels:
    """Draw where the voxels lie whose covering costs most, emotion by emotion."""
    input:
        top_voxels="<results>/{study}/tables/top_voxels.csv",
        checks="<results>/{study}/tables/occlusion_checks.csv",
    output:
        **figure_files("top_voxels", "Occlusion", figure="voxels with the largest drops"),
    log:
        "<logs>/{study}/figures/top_voxels.log",
    benchmark:
        "<benchmarks>/{study}/figures/top_voxels.tsv"
    wildcard_constraints:
        study=OCCLUDED_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_top_voxels.py"),
    script:
        "../../../../scripts/emotions/figures/plot_top_voxels.py"


rule plot_emotion_embedding:
    """Draw maps of occluded volumes, voxels and features of a network, by method."""
    input:
        places="<results>/{study}/tables/embedding.csv",
        quality="<results>/{study}/tables/embedding_quality.csv",
    output:
        **figure_files("embedding", "Occlusion", figure="maps in a plane"),
    log:
        "<logs>/{study}/figures/embedding.log",
    benchmark:
        "<benchmarks>/{study}/figures/embedding.tsv"
    wildcard_constraints:
        study=OCCLUDED_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_emotion_embedding.py"),
    script:
        "../../../../scripts/emotions/figures/plot_emotion_embedding.py"
