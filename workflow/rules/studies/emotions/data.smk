# Data of the emotions studies: what observers saw, volume by volume, and the subjects' time series.
#
# In: annotations of observers and time series, in the published layouts; simulated ones are written
# here, to <simulated>/<folder>/.
# Out: <results>/<study>/tables/labels.csv (a row per volume of the movie, for all subjects),
# agreement.csv, emotion_counts.csv, label_timing.csv; timeseries/<subject>.h5, of volumes also
# timeseries/mask.nii.gz where none is given.


# Which files are written depends on the entry: its subjects, runs and observers.
for movie, entry in movie_simulations().items():

    rule:
        """Simulate volumes, motion and annotations of people who watch a movie, as published."""
        name:
            f"simulate_movie_{movie}"
        output:
            expand("<simulated>/{{folder}}/{file}", file=movie_files(entry)),
            truth="<simulated>/{folder}/truth.csv",
            regions="<simulated>/{folder}/truth.nii.gz",
        log:
            "<logs>/simulated/{folder}_movie.log",
        benchmark:
            "<benchmarks>/simulated/{folder}_movie.tsv"
        wildcard_constraints:
            folder=re.escape(movie),
        conda:
            "../../../../envs/neuro.yaml"
        threads: 1
        resources:
            mem_mb=megabytes(2000),
            runtime=minutes(30),
        params:
            subjects=simulation_setting("subjects"),
            runs=simulation_setting("runs"),
            tr=simulation_setting("tr"),
            files=simulation_setting("files"),
            confounds=simulation_setting("volumes", "confounds"),
            annotations=simulation_setting("annotations", "files"),
            observers=simulation_setting("annotations", "observers"),
            emotions=simulation_setting("labels", "classes"),
            null_effect=simulation_setting("simulation", "null_effect"),
            seed=config["seed"],
            code=script_digest("emotions/data/simulate_movie.py"),
        script:
            "../../../../scripts/emotions/data/simulate_movie.py"


rule label_volumes:
    """Label the volumes of the movie by what its observers agree on."""
    input:
        annotations=in_movie_folder(annotation_files),
    output:
        labels="<results>/{study}/tables/labels.csv",
        counts=report(
            "<results>/{study}/tables/emotion_counts.csv",
            caption="../../../report/emotion_counts_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "labels by rule and timing"},
        ),
        timing="<results>/{study}/tables/label_timing.csv",
    log:
        "<logs>/{study}/tables/labels.log",
    benchmark:
        "<benchmarks>/{study}/tables/labels.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(30),
    params:
        observers=movie_setting("annotations", "observers"),
        vocabulary=movie_setting("annotations", "vocabulary"),
        runs=movie_setting("runs"),
        tr=movie_setting("tr"),
        labels=movie_setting("labels"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("emotions/labelling/label_volumes.py"),
    script:
        "../../../../scripts/emotions/labelling/label_volumes.py"


rule measure_agreement:
    """Measure how well the observers of the movie agree."""
    input:
        annotations=in_movie_folder(annotation_files),
    output:
        report(
            "<results>/{study}/tables/agreement.csv",
            caption="../../../report/agreement_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "agreement of observers"},
        ),
    log:
        "<logs>/{study}/tables/agreement.log",
    benchmark:
        "<benchmarks>/{study}/tables/agreement.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(30),
    params:
        observers=movie_setting("annotations", "observers"),
        vocabulary=movie_setting("annotations", "vocabulary"),
        runs=movie_setting("runs"),
        tr=movie_setting("tr"),
        labels=movie_setting("labels"),
        n_bootstrap=movie_setting("inference", "n_bootstrap"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("emotions/labelling/measure_agreement.py"),
    script:
        "../../../../scripts/emotions/labelling/measure_agreement.py"


rule mask_volumes:
    """Make the mask of the voxels that are brain in every subject."""
    input:
        bold=all_runs,
    output:
        "<results>/{study}/timeseries/mask.nii.gz",
    log:
        "<logs>/{study}/timeseries/mask.log",
    benchmark:
        "<benchmarks>/{study}/timeseries/mask.tsv"
    wildcard_constraints:
        study=studies_of_data("volumes"),
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(120),
    params:
        subjects=movie_setting("subjects"),
        n_volumes=run_lengths,
        tr=movie_setting("tr"),
        code=script_digest("emotions/data/mask_volumes.py"),
    script:
        "../../../../scripts/emotions/data/mask_volumes.py"


rule prepare_volumes:
    """Prepare the volumes of a subject: mask, smoothing, detrending and z-scores within runs."""
    input:
        bold=in_movie_folder(run_files),
        mask=mask_of_subject,
        confounds=in_movie_folder(confound_files),
    output:
        "<results>/{study}/timeseries/{subject}.h5",
    log:
        "<logs>/{study}/timeseries/{subject}.log",
    benchmark:
        "<benchmarks>/{study}/timeseries/{subject}.tsv"
    wildcard_constraints:
        study=studies_of_data("volumes"),
        subject=EMOTION_SUBJECTS,
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(6, at_least=2000),
        runtime=minutes(120),
    params:
        n_volumes=run_lengths,
        tr=movie_setting("tr"),
        steps=steps_of_volumes,
        aligned=movie_setting("volumes", "aligned"),
        code=script_digest("emotions/data/prepare_volumes.py"),
    script:
        "../../../../scripts/emotions/data/prepare_volumes.py"


rule prepare_parcels:
    """Prepare the parcels of a subject that all subjects have, run by run."""
    input:
        own=in_movie_folder(run_files),
        all=all_runs,
    output:
        "<results>/{study}/timeseries/{subject}.h5",
    log:
        "<logs>/{study}/timeseries/{subject}.log",
    benchmark:
        "<benchmarks>/{study}/timeseries/{subject}.tsv"
    wildcard_constraints:
        study=studies_of_data("parcels"),
        subject=EMOTION_SUBJECTS,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(30),
    params:
        n_volumes=run_lengths,
        tr=movie_setting("tr"),
        standardise=movie_setting("volumes", "standardise"),
        code=script_digest("emotions/data/prepare_parcels.py"),
    script:
        "../../../../scripts/emotions/data/prepare_parcels.py"
