# Models of the emotions studies: decoders of volumes and of confounds, and networks.
#
# In: labels and time series. Out: <results>/<study>/models/predictions_<model>.h5 (what each model
# says of every used volume, in every split), refits_<model>.csv (scores of models of shifted
# labels); of networks, by split, predictions_<model>_<split>.h5, <model>_<split>.safetensors,
# <model>_<split>_history.csv and features/<model>_<split>.h5.


rule decode_emotions:
    """Fit a linear decoder in every split, and predict every used volume once in each."""
    input:
        labels="<results>/{study}/tables/labels.csv",
        timeseries=all_timeseries,
        stimulus=stimulus_table,
    output:
        "<results>/{study}/models/predictions_{model}.h5",
    log:
        "<logs>/{study}/models/{model}.log",
    benchmark:
        "<benchmarks>/{study}/models/{model}.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
        model=emotion_models("logistic", "linear"),
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(6, at_least=2000),
        runtime=minutes(240),
    params:
        classes=movie_setting("labels", "classes"),
        kind=emotion_model("kind"),
        sees=emotion_model("sees"),
        options=emotion_model("options"),
        splits=emotion_splits,
        n_folds=movie_setting("splits", "n_folds"),
        validation_share=movie_setting("splits", "validation_share"),
        seed=config["seed"],
        code=script_digest("emotions/decoding/decode_emotions.py"),
    script:
        "../../../../scripts/emotions/decoding/decode_emotions.py"


rule refit_decoders:
    """Fit a linear decoder to labels that are shifted along the movie: a null for every split."""
    input:
        labels="<results>/{study}/tables/labels.csv",
        timeseries=all_timeseries,
        stimulus=stimulus_table,
    output:
        "<results>/{study}/models/refits_{model}.csv",
    log:
        "<logs>/{study}/models/refits_{model}.log",
    benchmark:
        "<benchmarks>/{study}/models/refits_{model}.tsv"
    wildcard_constraints:
        study=EMOTION_STUDIES,
        model=emotion_models("logistic", "linear"),
    conda:
        "../../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(6, at_least=2000),
        runtime=refit_minutes,
    params:
        classes=movie_setting("labels", "classes"),
        kind=emotion_model("kind"),
        sees=emotion_model("sees"),
        options=emotion_model("options"),
        splits=emotion_splits,
        n_folds=movie_setting("splits", "n_folds"),
        validation_share=movie_setting("splits", "validation_share"),
        n_refits=movie_setting("inference", "n_refits"),
        min_shift=movie_setting("inference", "min_shift"),
        tr=movie_setting("tr"),
        seed=config["seed"],
        code=script_digest("emotions/evaluation/refit_decoders.py"),
    script:
        "../../../../scripts/emotions/evaluation/refit_decoders.py"


rule train_emotion_cnn:
    """Train a network in every fold of a split, and test it on what it has not seen."""
    input:
        labels="<results>/{study}/tables/labels.csv",
        series=all_timeseries,
        weights=weights_of_network,
    output:
        predictions="<results>/{study}/models/predictions_{model}_{split}.h5",
        history="<results>/{study}/models/{model}_{split}_history.csv",
        networks="<results>/{study}/models/{model}_{split}.safetensors",
        features="<results>/{study}/features/{model}_{split}.h5",
    log:
        "<logs>/{study}/models/{model}_{split}.log",
    benchmark:
        "<benchmarks>/{study}/models/{model}_{split}.tsv"
    wildcard_constraints:
        study=studies_of_data("volumes"),
        model=emotion_models("cnn"),
        split=MOVIE_SPLITS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=emotion_training_mb,
        runtime=emotion_training_minutes,
        gpu=1,
    params:
        classes=movie_setting("labels", "classes"),
        network=emotion_model("network"),
        training=emotion_model("training"),
        n_folds=movie_setting("splits", "n_folds"),
        validation_share=movie_setting("splits", "validation_share"),
        seed=config["seed"],
        code=training_digest("emotions/network/train_emotion_cnn.py"),
    script:
        "../../../../scripts/emotions/network/train_emotion_cnn.py"
