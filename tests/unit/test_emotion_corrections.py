"""The table "original against ours" of study emotions: its numbers are what they say they are."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from scripts.emotions.decoding.predictions import Predictions
from scripts.emotions.evaluation.tabulate_emotion_corrections import (
    area_corrections,
    label_corrections,
    pooled_area,
    rsa_corrections,
    split_corrections,
)
from scripts.emotions.labelling.labels import Labels
from workflow.lib.corrections import corrections_table

CLASSES = ("FEAR", "LOVE", "JOY")


@pytest.fixture
def labels():
    """Return two runs of 30 volumes, of which the first shows FEAR and LOVE, the second JOY too."""
    names = [*np.tile(["FEAR", "LOVE"], 15), *np.tile(CLASSES, 10)]
    table = pd.DataFrame(
        {
            "run": np.repeat(["1", "2"], 30),
            "volume": np.tile(np.arange(30), 2),
            "time": np.arange(60.0),
            "used": True,
            "label": names,
            "agreement": 5,
            "episode": np.arange(60),
            "sampled": True,
        }
    )
    return Labels(table, CLASSES)


def predictions_of(probabilities):
    fold = np.zeros(probabilities.shape[:2], int)
    return Predictions(probabilities.astype(np.float32), fold, CLASSES, ("01", "02"))


def test_pooled_area_is_that_of_scikit_learn(labels):
    rng = np.random.default_rng(0)
    # Ties count half.
    probabilities = np.round(rng.dirichlet(np.ones(3), size=(2, 60)), 1)
    codes = np.tile(labels.codes, 2)
    expected = np.mean(
        [
            roc_auc_score(codes == code, probabilities.reshape(-1, 3)[:, code].astype(np.float32))
            for code in range(3)
        ]
    )
    assert pooled_area(labels, predictions_of(probabilities)) == pytest.approx(expected)


def test_area_has_the_interval_of_its_table(labels):
    found = predictions_of(np.random.default_rng(3).dirichlet(np.ones(3), size=(2, 60)))
    decoding = DECODING.assign(low=DECODING["value"] - 0.1, high=DECODING["value"] + 0.2)
    table = corrections_table(list(area_corrections(labels, {"run": found}, decoding, "logistic")))
    assert table[["ours", "low", "high"]].to_numpy() == pytest.approx(np.array([[0.5, 0.4, 0.7]]))


def test_telling_runs_apart_is_worth_something_to_the_pooled_area_alone(labels):
    """Within a run, probabilities that know the run alone say nothing of the emotion."""
    shares = np.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    probabilities = np.repeat(shares, 30, axis=0)[None].repeat(2, axis=0)
    assert pooled_area(labels, predictions_of(probabilities)) > 0.55


DECODING = pd.DataFrame(
    [
        ("logistic", split, measure, value)
        for split, value in (("random", 0.9), ("run", 0.5), ("run_and_subject", 0.4))
        for measure in ("accuracy", "balanced_accuracy", "auc")
    ],
    columns=["model", "split", "measure", "value"],
)
AUDIT = pd.DataFrame(
    [
        (split, fold, "test", "training", unit, 10, n_shared)
        for split, n_shared in (("random", 8), ("run_and_subject", 0))
        for fold in range(2)
        for unit in ("movie times", "neighbours", "episodes")
    ],
    columns=["split", "fold", "of", "seen_in", "unit", "n", "n_shared"],
)


def test_leaked_scores_stand_beside_those_of_the_cleanest_split():
    table = corrections_table(list(split_corrections(DECODING, AUDIT, ["logistic"], None)))
    first = table.iloc[0]
    assert (first["original"], first["ours"]) == (0.9, 0.4)
    shared = table[table["measure"].str.contains("movie times")].iloc[0]
    assert (shared["original"], shared["ours"]) == (0.8, 0.0)


def test_every_measure_of_every_model_stands_in_a_row():
    decoding = pd.concat([DECODING, DECODING.assign(model="balanced", value=0.1)])
    table = corrections_table(
        list(split_corrections(decoding, AUDIT, ["logistic", "balanced"], None))
    )
    assert table["measure"].tolist()[:6] == [
        f"{measure} of {model}"
        for model in ("logistic", "balanced")
        for measure in ("accuracy", "balanced accuracy", "auc")
    ]
    assert table["ours"].tolist()[:6] == [0.4] * 3 + [0.1] * 3


def test_a_leaked_score_from_as_many_volumes_stands_beside_the_clean_one():
    """It is that of our labels, whatever stands for the original."""
    matched = DECODING[DECODING["split"] == "random"].assign(split="random_matched", value=0.7)
    decoding = pd.concat([DECODING, matched])
    table = corrections_table(list(split_corrections(decoding, AUDIT, ["logistic"], DECODING)))
    rows = table[table["measure"].str.endswith("from as many volumes")]
    assert rows["measure"].tolist() == [
        f"{measure} of logistic, from as many volumes"
        for measure in ("accuracy", "balanced accuracy", "auc")
    ]
    assert (rows["original"] == 0.7).all()
    assert (rows["ours"] == 0.4).all()
    assert table["original"].iloc[0] == 0.9


def test_scores_of_published_labels_stand_for_the_original_where_there_are_any():
    published = DECODING.assign(value=DECODING["value"] / 2)
    table = corrections_table(list(split_corrections(DECODING, AUDIT, ["logistic"], published)))
    assert table["original"].iloc[0] == 0.45
    assert table["ours"].iloc[0] == 0.4


def test_times_and_labels_are_those_of_the_tables():
    timing = pd.DataFrame({"run": [1, 2], "error": [0.0, 112.0]})
    counts = pd.DataFrame(
        [
            (rule, timing, "all", n)
            for n, (rule, timing) in enumerate(
                [(r, t) for r in ("original", "any_character") for t in ("cumulative", "runs")]
            )
        ],
        columns=["rule", "timing", "emotion", "n_volumes"],
    )
    table = corrections_table(list(label_corrections(timing, counts, lag=4.0)))
    assert table["original"].tolist() == [112.0, 0.0, 0, 1]
    assert table["ours"].tolist() == [0.0, 4.0, 2, 3]


def test_rdms_of_the_mean_over_subjects_are_compared():
    rsa = pd.DataFrame(
        [
            (subject, "brain all", second, value, 6, 120)
            for subject, value in (("01", 0.1), ("joint", 0.3))
            for second in ("affect", "runs", "cnn block1", "cnn pooled")
        ],
        columns=["subject", "first", "second", "similarity", "n_reached", "n_orders"],
    )
    table = corrections_table(list(rsa_corrections(rsa, -0.59)))
    assert table["original"].tolist()[0] == -0.59
    assert corrections_table(list(rsa_corrections(rsa)))["original"].isna().all()
    assert table["ours"].tolist() == [0.3, 0.3, 1 / 120]
    assert "p = 6/120" in table["note"].iloc[0]
