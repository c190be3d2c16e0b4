"""Figures of decoding show every model and split there is, and captions say what was measured."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scripts.emotions.decoding.predictions import Predictions
from scripts.emotions.decoding.splits import SPLITS
from scripts.emotions.evaluation.decoding_cases import make_cases
from scripts.emotions.evaluation.evaluate_decoding import evaluate_decoding, with_sizes
from scripts.emotions.figures.plot_emotion_calibration import plot_emotion_calibration
from scripts.emotions.figures.plot_emotion_confusion import plot_emotion_confusion
from scripts.emotions.figures.plot_leakage import plot_leakage
from scripts.emotions.figures.plot_roc import plot_roc
from tests.unit.emotion_labels import CLASSES, SUBJECTS, movie_labels

NAMED = {"title": "A movie", "simulated": True}
SKILL = dict(zip(SPLITS, (3.0, 2.8, 2.5, 2.0, 1.5, 1.0, 0.5), strict=True))


@pytest.fixture(scope="module")
def tables():
    """Return tables of two decoders, one of which was fitted to two splits alone."""
    labels, rng = movie_labels(0, n_episodes=12), np.random.default_rng(0)

    def predict(skill):
        logits = rng.standard_normal((len(SUBJECTS), labels.n_rows, 3))
        known = labels.codes >= 0
        logits[:, np.flatnonzero(known), labels.codes[known]] += skill
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        fold = np.tile(np.where(labels.used, 0, -1), (len(SUBJECTS), 1))
        return Predictions(probabilities.astype(np.float32), fold, CLASSES, SUBJECTS)

    found = {
        "logistic_balanced": {split: predict(skill) for split, skill in SKILL.items()},
        "cnn": {split: predict(SKILL[split]) for split in ("run_and_subject", "random")},
    }
    refits = pd.DataFrame(
        {
            "model": "logistic_balanced",
            "split": ["random", "random"],
            "measure": "balanced_accuracy",
            "value": [0.5, 0.6],
        }
    )
    cases = make_cases(labels, n_shifts=99, fewest=5, n_bootstrap=50, seed=0, study="movie")
    return evaluate_decoding(labels, found, refits, cases, study="movie")


def texts(figure):
    return {text.get_text() for text in figure.findobj(plt.Text)} - {""}


def value(tables, model, split, measure="balanced_accuracy"):
    rows = tables.decoding.set_index(["model", "split", "measure"])
    return rows.loc[(model, split, measure)]


def leakage(tables, **options):
    fixed = {"measures": ["balanced_accuracy", "auc"], "shown": None, "published": 0.681}
    fixed["confounds"] = {"cnn": ["the run", "motion"], "other": ["luminance"]}
    return plot_leakage({"": tables.decoding}, **(fixed | NAMED | options))


def test_tables_go_from_leaked_to_clean(tables):
    of_cnn = tables.decoding.query("model == 'cnn' and measure == 'auc'")
    assert list(of_cnn["split"]) == ["random", "run_and_subject"]


def test_leakage_shows_every_split_with_chance_and_the_published_accuracy(tables):
    figure, caption = leakage(tables)
    ticks = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_xticklabels()]
    assert ticks == [split.title for split in SPLITS.values()]
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"chance", "logistic balanced", "cnn", "published network"} <= legend
    stars = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert [float(line.get_ydata()[0]) for line in stars] == [0.681]
    assert not [line for line in figure.axes[1].lines if line.get_marker() == "*"]
    row = value(tables, "logistic_balanced", "random")
    n = tables.decoding["n_volumes"].iloc[0]
    assert f"n = {n:,} volumes" in caption
    assert f"random volumes {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in caption
    assert "p = 0.01" in caption
    assert "0.681" in caption
    assert "mean of 2 fits" in caption
    assert "99 circular shifts" in caption
    assert "Simulated" in figure.get_suptitle() or "simulated data" in figure.get_suptitle()


def test_what_is_lost_is_the_share_of_the_area_above_one_half(tables):
    _, caption = leakage(tables)
    # The leaked split that learns from as many volumes.
    leaked, clean = (
        value(tables, "logistic_balanced", split, "auc")["value"] - 0.5
        for split in ("random_matched", "run_and_subject")
    )
    assert f"{1 - clean / leaked:.0%} of what lies above 0.5 is gone" in caption
    # Accuracy is set against what the same decoder reaches without an effect in the same split.
    assert "Above fits" not in caption
    again = tables.decoding.assign(refit_mean=0.4)
    found = plot_leakage(
        {"": again}, measures=["accuracy"], shown=None, published=None, confounds={}, **NAMED
    )[1]
    above = [
        value(tables, "logistic_balanced", split, "accuracy")["value"] - 0.4
        for split in ("random_matched", "run_and_subject")
    ]
    assert (
        f"accuracy is {above[0]:+.3f} and {above[1]:+.3f} with matched random volumes and runs "
        "and subjects held out" in found
    )


def test_runs_that_differ_in_their_emotions_are_named_where_they_cost_accuracy(tables):
    below = tables.decoding.assign(null_mean=tables.decoding["null_mean"] - 0.1)
    found = plot_leakage(
        {"": below}, measures=["accuracy"], shown=None, published=None, confounds={}, **NAMED
    )[1]
    rows = below.query("model == 'logistic_balanced' and measure == 'accuracy'")
    assert f"without an effect is {rows['null_mean'].min():.3f} where they are held out" in found


def test_caption_says_what_confounds_hold_and_who_learns_from_fewer_subjects(tables):
    _, caption = leakage(tables)
    assert "Model cnn sees the run, motion, and no response." in caption
    assert "luminance" not in caption
    assert "runs and subjects held out, decoders learn from 1/2 of the subjects" in caption


def test_caption_says_how_many_volumes_each_split_learns_from(tables):
    sizes = {split: 100.0 * (place + 1) for place, split in enumerate(SPLITS)}
    audit = pd.DataFrame({"split": list(sizes), "n_training": list(sizes.values())})
    audit = pd.concat([audit.assign(fold=k, n_training=audit["n_training"] + k) for k in (0, 2)])
    audit = pd.concat([audit, audit], ignore_index=True).assign(n_validation=30)
    table = with_sizes(tables.decoding, audit)
    assert len(table) == len(tables.decoding)
    known = table.drop_duplicates("split").set_index("split")["n_training"].to_dict()
    assert known == {split: n + 1 for split, n in sizes.items()}
    _, caption = leakage(tables._replace(decoding=table))
    assert "random volumes 101 + 30, matched random volumes 201 + 30," in caption
    assert "as few volumes of each emotion to learn from as with runs and subjects held" in caption
    assert "101" not in leakage(tables)[1]


def test_the_most_frequent_emotion_is_drawn_where_it_is_more_than_a_guess(tables):
    figure, caption = leakage(tables, measures=["accuracy", "balanced_accuracy"])
    most = value(tables, "cnn", "random", "accuracy")["majority"]
    dashed = [
        [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--"]
        for axis in figure.axes
    ]
    assert dashed == [[most], []]
    assert f"most frequent emotion, {most:.3f}" in caption
    assert "frequent" not in leakage(tables)[1]


def test_marks_stand_at_their_values(tables):
    figure, _ = leakage(tables)
    drawn = np.concatenate(
        [
            line.get_ydata()
            for line in figure.axes[0].lines
            if line.get_label() in ("cnn", "logistic balanced")
        ]
    )
    expected = tables.decoding.query("measure == 'balanced_accuracy'")["value"]
    np.testing.assert_allclose(np.sort(drawn[np.isfinite(drawn)]), np.sort(expected))


def test_two_ways_to_label_stand_below_one_another(tables):
    both = {"true times": tables.decoding, "as published": tables.decoding}
    figure, caption = plot_leakage(
        both, measures=["auc"], shown="cnn", published=None, confounds={}, **NAMED
    )
    assert {"true times", "as published"} <= texts(figure)
    assert "True times: n = " in caption
    assert "As published: n = " in caption
    assert "of cnn by what is held out" in caption
    assert "Star" not in caption


def test_a_study_without_null_or_published_number_says_nothing_of_them(tables):
    columns = {"n_shifts": 0, "p": np.nan, "null_high": np.nan, "refit_mean": np.nan, "n_refits": 0}
    bare = tables.decoding.assign(**columns)
    figure, caption = plot_leakage(
        {"": bare[bare["split"] == "run"]},
        measures=["accuracy"],
        shown=None,
        published=None,
        confounds={},
        **NAMED,
    )
    for word in ("shifts", "fits to labels", "Star", "is gone", "p ="):
        assert word not in caption
    assert len(figure.legends[0].get_texts()) == 3


def test_areas_stand_in_the_panels_of_the_extreme_splits(tables):
    figure, caption = plot_roc(
        tables.roc, tables.auc, tables.decoding, published={"FEAR": 0.93}, **NAMED
    )
    assert len(figure.axes) == 2 * len(CLASSES)
    written = texts(figure)
    rows = tables.auc[tables.auc["split"].isin(["random", "run_and_subject"])]
    assert {f"{area:.2f}" for area in rows["value"]} <= written
    assert "FEAR 0.93" in caption
    assert "4 runs with the emotion and 0 without" in caption
    assert "n = " in caption


def test_calibration_has_errors_of_all_models(tables):
    figure, caption = plot_emotion_calibration(tables.calibration, tables.decoding, **NAMED)
    assert len(figure.axes) == 2
    for measure in ("brier", "calibration_error"):
        assert f"{value(tables, 'cnn', 'random', measure)['value']:.3f}" in caption


def test_confusions_are_percentages_of_rows(tables):
    figure, caption = plot_emotion_confusion(tables.confusion, tables.decoding, **NAMED)
    own = tables.confusion.query("model == 'cnn' and split == 'random'")
    for emotion in CLASSES:
        row = own[own["label"] == emotion].set_index("predicted")["n"]
        assert f"{100 * row[emotion] / row.sum():.0f}" in texts(figure)
    assert "n = " in caption


def test_a_model_without_a_split_is_said_not_to_be_fitted(tables):
    some = tables.confusion.query("model != 'cnn' or split == 'random'")
    figure, _ = plot_emotion_confusion(some, tables.decoding, **NAMED)
    assert "not fitted" in texts(figure)
