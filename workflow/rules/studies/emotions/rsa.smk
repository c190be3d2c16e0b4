# RDMs of emotions: how responses, networks and observers tell the emotions apart.
#
# In: time series, labels, annotations, features of the covered network, regions if there are any.
# Out: <results>/<study>/rdms/emotions_brain.h5 (subjects x regions, and means over subjects),
# emotions_places.h5 (subjects x parcels or cubes of voxels), emotions_models.h5 (affect,
# co-occurrence, runs, layers); tables/emotion_rsa.csv, parcel_rsa.csv.


rule compute_emotion_rdms:
    """Compute the RDMs of emotions in responses, networks, affect, co-occurrence and runs."""
    input:
        labels="<results>/{study}/tables/labels.csv",
        series=all_timeseries,
        annotations=in_movie_folder(annotation_files),
        features=covered_features,
        regions=all_regions,
    output:
        brain="<results>/{study}/rdms/emotions_brain.h5",
        places="<results>/{study}/rdms/emotions_places.h5",
        models="<results>/{study}/rdms/emotions_models.h5",
    log:
        "<logs>/{study}/rdms/emotions.log",
    benchmark:
        "<benchmarks>/{study}/rdms/emotions.tsv"
    wildcard_constraints:
        study=EMOTION_RSA_STUDIES,
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4),
        runtime=minutes(60),
    params:
        classes=movie_setting("labels", "classes"),
        observers=movie_setting("annotations", "observers"),
        vocabulary=movie_setting("annotations", "vocabulary"),
        duration=movie_duration,
        rois=movie_setting("rsa", "rois"),
        cube=movie_setting("rsa", "cube"),
        code=script_digest("emotions/rsa/compute_emotion_rdms.py"),
    script:
        "../../../../scripts/emotions/rsa/compute_emotion_rdms.py"


rule compare_emotion_rdms:
    """Compare RDMs of emotions with one another, and map where responses resemble each model."""
    input:
        brain="<results>/{study}/rdms/emotions_brain.h5",
        places="<results>/{study}/rdms/emotions_places.h5",
        models="<results>/{study}/rdms/emotions_models.h5",
    output:
        table=report(
            "<results>/{study}/tables/emotion_rsa.csv",
            caption="../../../report/emotion_rsa_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "RDMs of emotions"},
        ),
        places=report(
            "<results>/{study}/tables/parcel_rsa.csv",
            caption="../../../report/parcel_rsa_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "map of RDMs of emotions"},
        ),
    log:
        "<logs>/{study}/tables/emotion_rsa.log",
    benchmark:
        "<benchmarks>/{study}/tables/emotion_rsa.tsv"
    wildcard_constraints:
        study=EMOTION_RSA_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(8),
        runtime=minutes(60),
    params:
        comparator=movie_setting("rsa", "comparator"),
        n_permutations=movie_setting("rsa", "n_permutations"),
        subjects=movie_setting("subjects"),
        classes=movie_setting("labels", "classes"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("emotions/rsa/compare_emotion_rdms.py"),
    script:
        "../../../../scripts/emotions/rsa/compare_emotion_rdms.py"


rule plot_emotion_rdms:
    """Draw the RDMs of emotions: responses, affect, co-occurrence, runs and layers."""
    input:
        brain="<results>/{study}/rdms/emotions_brain.h5",
        models="<results>/{study}/rdms/emotions_models.h5",
    output:
        **figure_files("emotion_rdms", "RSA", figure="RDMs of emotions"),
    log:
        "<logs>/{study}/figures/emotion_rdms.log",
    benchmark:
        "<benchmarks>/{study}/figures/emotion_rdms.tsv"
    wildcard_constraints:
        study=EMOTION_RSA_STUDIES,
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
        code=script_digest("emotions/figures/plot_emotion_rdms.py"),
    script:
        "../../../../scripts/emotions/figures/plot_emotion_rdms.py"


rule plot_emotion_rsa:
    """Draw how alike the RDMs of emotions are, of every subject and over subjects."""
    input:
        "<results>/{study}/tables/emotion_rsa.csv",
    output:
        **figure_files("emotion_rsa", "RSA", figure="similarity of RDMs"),
    log:
        "<logs>/{study}/figures/emotion_rsa.log",
    benchmark:
        "<benchmarks>/{study}/figures/emotion_rsa.tsv"
    wildcard_constraints:
        study=EMOTION_RSA_STUDIES,
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
        published=movie_setting("published", "similarity"),
        code=script_digest("emotions/figures/plot_emotion_rsa.py"),
    script:
        "../../../../scripts/emotions/figures/plot_emotion_rsa.py"


rule plot_parcel_rsa:
    """Draw where responses resemble each model, place by place, and what survives correction."""
    input:
        "<results>/{study}/tables/parcel_rsa.csv",
    output:
        **figure_files("parcel_rsa", "RSA", figure="map of RDMs"),
    log:
        "<logs>/{study}/figures/parcel_rsa.log",
    benchmark:
        "<benchmarks>/{study}/figures/parcel_rsa.tsv"
    wildcard_constraints:
        study=EMOTION_RSA_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        data=movie_setting("data"),
        cube=movie_setting("rsa", "cube"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("emotions/figures/plot_parcel_rsa.py"),
    script:
        "../../../../scripts/emotions/figures/plot_parcel_rsa.py"
