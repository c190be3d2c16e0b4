"""Decoders find planted emotions, and find none where there are none, unless the split leaks."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scripts.emotions.data.timeseries import TimeSeries, write_timeseries
from scripts.emotions.decoding.audit_volumes import audit_volumes
from scripts.emotions.decoding.decode_emotions import (
    Settings,
    decode_emotions,
    seen_features,
)
from scripts.emotions.decoding.decoder_features import Confounds, Responses, read_stimulus
from scripts.emotions.decoding.decoders import fit_decoder
from scripts.emotions.decoding.splits import SPLITS, Fold, make_folds
from scripts.emotions.evaluation.decoding_cases import against_null, make_cases
from scripts.emotions.evaluation.evaluate_decoding import evaluate_decoding
from scripts.emotions.evaluation.evaluation import Evaluated, class_weights
from scripts.emotions.evaluation.refit_decoders import refit_decoders
from tests.unit.emotion_labels import CLASSES, SUBJECTS, Given, movie_labels, responses
from workflow.lib.errors import InputError

CLEAN = [name for name, split in SPLITS.items() if split.clean]
NO_REFITS = pd.DataFrame(columns=["model", "split", "measure", "value"])


def settings(splits=tuple(SPLITS), kind="linear", seed=0, **options):
    fixed = {"study": "movie", "model": kind, "kind": kind, "n_folds": 4}
    return Settings(
        **(fixed | {"splits": splits, "validation_share": 0.15, "seed": seed} | options)
    )


def decoded(labels, values, **options):
    return decode_emotions(labels, SUBJECTS[: len(values)], Given(values), settings(**options))


def refitted(labels, values, chosen):
    return refit_decoders(labels, SUBJECTS, Given(values), chosen, n_refits=8, min_shift=5)


def accuracy(labels, predictions):
    weights = class_weights(labels.codes[None], len(labels.classes))
    return float(Evaluated(predictions, labels).scores(weights).balanced_accuracy[0])


# Decoders


@pytest.mark.parametrize("weight", [None, "balanced"])
@pytest.mark.parametrize("C", [1e-3, 1.0])
def test_logistic_regression_is_scikit_learns_on_scaled_training_volumes(weight, C):
    labels = movie_labels(0, classes=("A", "B", "C", "D", "E"))
    values = responses(labels, 0, effect=0.5) * 7 + 3
    chosen, codes = labels.labelled, labels.codes[labels.labelled]
    training, tested = values[0, chosen], values[1, chosen]
    none = training[:0], codes[:0]
    options = {"C": C, "class_weight": weight}
    found = fit_decoder("logistic", options, (training, codes), none, 5)(tested)
    oracle = make_pipeline(
        StandardScaler(), LogisticRegression(**options, tol=1e-8, max_iter=10_000)
    ).fit(training.astype(float), codes)
    np.testing.assert_allclose(found, oracle.predict_proba(tested), atol=2e-3)
    assert (found.argmax(axis=1) == oracle.predict(tested)).mean() > 0.99


@pytest.mark.parametrize("weight", [None, "balanced"])
@pytest.mark.parametrize("n_features", [6, 300])
@pytest.mark.parametrize("most_equations", [5000, 1])
def test_least_squares_choose_what_scikit_learns_ridge_classifier_chooses(
    weight, n_features, most_equations, monkeypatch
):
    monkeypatch.setattr("scripts.emotions.decoding.decoders.MOST_EQUATIONS", most_equations)
    labels = movie_labels(1)
    values = responses(labels, 1, effect=0.3, n_features=n_features)
    chosen, codes = labels.labelled, labels.codes[labels.labelled]
    training, tested = values[0, chosen], values[1, chosen]
    options = {"alpha": 5.0, "class_weight": weight}
    found = fit_decoder("linear", options, (training, codes), (training[:0], codes[:0]), 3)(tested)
    oracle = make_pipeline(StandardScaler(), RidgeClassifier(alpha=5.0, class_weight=weight))
    oracle.fit(training.astype(float), codes)
    assert (found.argmax(axis=1) == oracle.predict(tested)).mean() > 0.99
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_features_without_variance_tell_nothing():
    labels = movie_labels(2)
    values = responses(labels, 2, effect=1.0)
    chosen, codes = labels.labelled, labels.codes[labels.labelled]
    flat = np.concatenate([values, np.full_like(values[..., :1], 5)], axis=-1)
    for kind in ("logistic", "linear"):
        one, other = (
            fit_decoder(kind, {}, (some[0, chosen], codes), (some[0, :0], codes[:0]), 3)(
                some[1, chosen]
            )
            for some in (values, flat)
        )
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_features_far_from_zero_are_centred_and_scaled_all_the_same():
    labels = movie_labels(2)
    values = responses(labels, 2, effect=1.0).astype(np.float32)
    chosen, codes = labels.labelled, labels.codes[labels.labelled]
    far = values * 2**-3 + 2**10
    one, other = (
        fit_decoder("logistic", {}, (some[0, chosen], codes), (some[0, :0], codes[:0]), 3)(
            some[1, chosen]
        )
        for some in (values, far)
    )
    np.testing.assert_allclose(one, other, atol=5e-3)


def test_options_are_chosen_by_validation_volumes():
    # Many features without a signal and few volumes: only a strong penalty generalises.
    labels = movie_labels(3, n_runs=6)
    values = responses(labels, 3, effect=0.25, n_features=60, n_subjects=3, offset=0)
    chosen, codes = labels.labelled, labels.codes[labels.labelled]
    parts = [(values[subject, chosen], codes) for subject in range(3)]
    both = [np.concatenate(same) for same in zip(*parts[:2], strict=True)]
    of_validation = fit_decoder("logistic", {"C": [1e-3, 1e3]}, *parts[:2], 3)(parts[2][0])
    none = values[0, :0], codes[:0]
    expected = fit_decoder("logistic", {"C": 1e-3}, both, none, 3)(parts[2][0])
    np.testing.assert_allclose(of_validation, expected, atol=1e-5)
    with pytest.raises(InputError, match=r"no validation volumes, expected some to choose by"):
        fit_decoder("logistic", {"C": [1e-3, 1e3]}, parts[0], none, 3)


# What decoding in splits does


@pytest.mark.parametrize("split", SPLITS)
def test_a_volume_is_predicted_by_what_does_not_know_its_fold(split):
    labels = movie_labels(5)
    values = responses(labels, 5, effect=0.5)
    found = decoded(labels, values, splits=[split])[split]
    np.testing.assert_array_equal(found.tested, np.tile(labels.used, (len(SUBJECTS), 1)))
    folds = make_folds(
        labels,
        SUBJECTS,
        split,
        n_folds=4,
        validation_share=0.15,
        seed=0,
        study="movie",
    )
    for fold in folds[:2]:
        assert (found.fold[fold.test] == fold.number).all()
        # What is tested changes beyond recognition; no prediction of another volume does.
        other = values.copy()
        other[fold.test] += 100
        again = decoded(labels, other, splits=[split])[split]
        elsewhere = fold.test & False
        for one in folds:
            if not ((one.training | one.validation) & fold.test).any():
                elsewhere |= one.test & ~fold.test
        np.testing.assert_array_equal(
            found.probabilities[elsewhere], again.probabilities[elsewhere]
        )


def test_labels_of_tested_volumes_are_not_seen():
    labels = movie_labels(6)
    values = responses(labels, 6, effect=0.5)
    found = decoded(labels, values, splits=["run"])["run"]
    table = labels.table.copy()
    own = (table["run"] == "2") & (table["label"] != "")
    table.loc[own, "label"] = "LOVE"
    again = decoded(type(labels)(table, CLASSES), values, splits=["run"])["run"]
    rows = labels.of_run("2")
    np.testing.assert_array_equal(found.probabilities[:, rows], again.probabilities[:, rows])


def test_planted_emotions_are_found_in_every_split():
    labels = movie_labels(7, n_episodes=18)
    values = responses(labels, 7, effect=1.0)
    for kind in ("logistic", "linear"):
        for split, found in decoded(labels, values, kind=kind).items():
            assert accuracy(labels, found) > 0.6, (kind, split)


def test_what_is_no_emotion_is_found_in_leaked_splits_only():
    # Unseen seeds; slow noise that subjects share, offsets of runs, no emotion.
    found = {split: [] for split in SPLITS}
    for seed in range(100, 110):
        labels = movie_labels(seed, n_episodes=30, shuffled=True)
        values = responses(labels, seed, n_features=40)
        for split, predictions in decoded(labels, values).items():
            found[split].append(accuracy(labels, predictions))
    means = {split: np.mean(values) for split, values in found.items()}
    assert min(means[split] for split in ("random", "subject", "tr")) > 0.45
    for split in CLEAN:
        assert means[split] == pytest.approx(1 / 3, abs=0.025)
        assert max(found[split]) < min(found["random"])
    # Near episodes differ where those far away do not: a little below chance.
    assert means["episode"] == pytest.approx(1 / 3, abs=0.04)


@pytest.mark.slow
def test_p_values_of_clean_splits_are_uniform_without_an_effect():
    measures, n_simulations = ("auc", "accuracy"), 200
    p = {(split, measure): [] for split in CLEAN for measure in measures}
    for seed in range(n_simulations):
        labels = movie_labels(seed, n_runs=3, n_episodes=9, shuffled=True)
        values = responses(labels, [seed, 7], n_features=6, n_subjects=2)
        own = decoded(labels, values, splits=CLEAN, n_folds=3, validation_share=0.0)
        cases = make_cases(labels, n_shifts=99, fewest=5, n_bootstrap=2, seed=seed, study="movie")
        for split, found in own.items():
            evaluated = Evaluated(found, labels)
            weights = (cases.own, cases.shifted, cases.anywhere)
            scores, *null = (evaluated.scores(some) for some in weights)
            for measure in measures:
                value, *moved = (getattr(some, measure) for some in (scores, *null))
                p[split, measure].append(against_null(value[0], *moved)["p"])
    for key, values in p.items():
        for level in (0.05, 0.2, 0.5):
            low, high = binom.interval(0.999, n_simulations, level)
            # The widened null is a bound, that need not be reached.
            assert 0.4 * low <= np.sum(np.array(values) <= level) <= high, (key, level)


def test_fitted_again_to_moved_labels_a_leaked_split_is_as_good_as_without_an_effect():
    labels = movie_labels(8, n_episodes=18, shuffled=True)
    values = responses(labels, 8, n_features=40)
    chosen = settings(splits=["random", "run"])
    refits = refitted(labels, values, chosen)
    assert refits.groupby(["split", "measure"]).size().eq(8).all()
    own = decode_emotions(labels, SUBJECTS, Given(values), chosen)
    moved = refits.query("measure == 'balanced_accuracy'").groupby("split")["value"]
    assert moved.mean()["random"] > 0.48
    assert moved.mean()["run"] == pytest.approx(1 / 3, abs=0.05)
    cases = make_cases(labels, n_shifts=9, fewest=5, n_bootstrap=10, seed=0, study="movie")
    tables = evaluate_decoding(labels, {"linear": own}, refits, cases, study="movie")
    rows = tables.decoding.set_index(["split", "measure"])
    assert rows.loc[("random", "balanced_accuracy"), "refit_p"] > 1 / 9
    with_effect = responses(labels, 8, effect=1.0, n_features=40)
    own = decode_emotions(labels, SUBJECTS, Given(with_effect), chosen)
    refits = refitted(labels, with_effect, chosen)
    tables = evaluate_decoding(labels, {"linear": own}, refits, cases, study="movie")
    assert (tables.decoding["refit_p"].dropna() == 1 / 9).all()


# What decoders see


def written(folder, labels, values, *, motion=True):
    """Write time series of subjects, whose unused volumes have values, too."""
    series = []
    for subject, own in zip(SUBJECTS, values, strict=False):
        runs = {run: own[labels.of_run(run)] for run in labels.runs}
        confounds = {
            run: pd.DataFrame(
                {"x": np.arange(len(rows), dtype=float), "dx": [np.nan, *rows[1:, 0]]}
            )
            for run, rows in runs.items()
        }
        names = [str(k) for k in range(own.shape[1])]
        path = folder / f"{subject}.h5"
        write_timeseries(
            path,
            runs,
            subject=subject,
            tr=2.0,
            names=names,
            confounds=confounds if motion else None,
        )
        series.append(TimeSeries(path))
    return series


def test_responses_are_those_of_the_rows(tmp_path):
    labels = movie_labels(9)
    values = responses(labels, 9)
    series = written(tmp_path, labels, values)
    kept, read = Responses(series, labels), Responses(series, labels)
    read._keeps = False
    rows = np.array([5, 3, 40])
    for features in (kept, read):
        for subject in range(2):
            np.testing.assert_array_equal(features.of(subject, rows), values[subject][rows])
            np.testing.assert_array_equal(
                features.of(subject, labels.labelled), values[subject][labels.labelled]
            )


def test_confounds_say_run_time_motion_and_what_is_shown_and_no_response(tmp_path):
    labels = movie_labels(10)
    values = responses(labels, 10)
    series = written(tmp_path, labels, values)
    path = tmp_path / "luminance.csv"
    pd.DataFrame({"time": [0.0, 10_000.0], "luminance": [0.0, 1.0]}).to_csv(path, index=False)
    found = seen_features("confounds", series, labels, path)
    assert isinstance(found, Confounds)
    table = pd.DataFrame(found.of(1, np.arange(labels.n_rows)), columns=found.names)
    for run in labels.runs:
        rows = labels.of_run(run)
        assert table.loc[rows, f"run {run}"].eq(1).all()
        assert table.drop(index=rows)[f"run {run}"].eq(0).all()
        assert table.loc[rows[[0, -1]], "time^1"].tolist() == [-1, 1]
        assert table.loc[rows[[0, -1]], "time^2"].tolist() == [1, 1]
        np.testing.assert_array_equal(table.loc[rows, "x"], np.arange(rows.size))
        assert table.loc[rows[0], "dx"] == pytest.approx(values[1, rows[1:], 0].mean(), abs=1e-5)
    np.testing.assert_allclose(table["luminance"], labels.table["time"] / 10_000, atol=1e-6)
    without = Confounds(written(tmp_path, labels, values, motion=False), labels)
    runs = [f"run {run}" for run in labels.runs]
    assert without.names == [*runs, "time^1", "time^2", "time^3"]
    np.testing.assert_array_equal(without.values[0], without.values[1])


def test_confounds_know_runs_that_differ_in_their_classes(tmp_path):
    labels = movie_labels(11, n_episodes=18)
    table = labels.table.copy()
    for run, emotion in zip(labels.runs, (*CLASSES, "FEAR"), strict=True):
        rows = (table["run"] == run) & (table["label"] != "") & (table["episode"] % 5 > 0)
        table.loc[rows, "label"] = emotion
    labels = type(labels)(table, CLASSES)
    series = written(tmp_path, labels, responses(labels, 11))
    features = seen_features("confounds", series, labels)
    found = decode_emotions(
        labels,
        SUBJECTS,
        features,
        settings(kind="logistic", splits=["random", "run"], options={"C": 10.0}),
    )
    # The run alone tells the emotion, but only to who has seen the run, and not within it.
    assert accuracy(labels, found["random"]) > 0.6
    assert accuracy(labels, found["run"]) < 0.45


def test_bad_tables_of_what_is_shown_and_features(tmp_path):
    path = tmp_path / "luminance.csv"
    for text, message in (
        ("seconds,luminance\n0,1\n", "expected time and others"),
        ("time,luminance\n0,x\n", "all of numbers"),
        ("time,luminance\n2,1\n1,1\n", "do not rise"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_stimulus(path)
    with pytest.raises(InputError, match=r"found thoughts, expected one of patterns, confounds"):
        seen_features("thoughts", [], movie_labels(0))


# The audit


def audited(labels, splits=tuple(SPLITS)):
    return audit_volumes(
        labels, SUBJECTS, study="movie", splits=splits, n_folds=4, validation_share=0.15, seed=0
    )


def test_the_audit_counts_what_leaked_splits_share_and_finds_nothing_in_clean_ones():
    table = audited(movie_labels(12, n_episodes=18))
    tested = table[(table["of"] == "test") & (table["seen_in"] == "training")]
    shares = tested.groupby(["split", "unit"])["share"].mean().unstack()
    for unit in ("movie times", "near movie times", "neighbours", "episodes", "runs", "subjects"):
        assert shares.loc["run_and_subject", unit] == 0
    assert shares.loc["random", "neighbours"] > 0.9
    assert shares.loc["random", "movie times"] > 0.8
    assert shares.loc["subject", "movie times"] == 1
    assert shares.loc["tr", "neighbours"] > 0.9
    assert shares.loc["tr", "movie times"] == 0
    assert shares.loc["tr", "near movie times"] > 0.9
    assert shares.loc["episode", "episodes"] == 0
    assert 0 < shares.loc["episode", "neighbours"] < 1
    assert not table.loc[~table["allowed"], "n_shared"].any()


@pytest.mark.slow
def test_more_volumes_to_learn_from_are_not_taken_for_leakage():
    """Volumes that share nothing but their emotion leak in no split: only their number counts.

    The area within runs is told, which the shares of emotions in runs do not touch.
    """
    splits, areas = ("random", "random_matched", "run_and_subject"), []
    for seed in range(8):
        labels, rng = movie_labels(seed, n_episodes=18), np.random.default_rng(seed)
        patterns = np.vstack([rng.standard_normal((len(CLASSES), 60)), np.zeros(60)])
        noise = 7 * rng.standard_normal((len(SUBJECTS), labels.n_rows, 60))
        values = (noise + patterns[labels.codes]).astype(np.float32)
        found = decoded(labels, values, splits=splits, kind="logistic")
        weights = class_weights(labels.codes[None], len(CLASSES))
        areas.append([Evaluated(found[split], labels).scores(weights).auc[0] for split in splits])
    all_volumes, as_many, clean = np.mean(areas, axis=0)
    assert all_volumes - clean > 0.012
    assert abs(as_many - clean) < 0.006


def test_the_audit_says_how_many_labelled_volumes_a_fold_learns_from():
    labels = movie_labels(12, n_episodes=18)
    table = audited(labels)
    n = labels.labelled.sum() * len(SUBJECTS)
    for (split, number), rows in table.groupby(["split", "fold"]):
        (fold,) = [
            fold
            for fold in make_folds(
                labels,
                SUBJECTS,
                split,
                n_folds=4,
                validation_share=0.15,
                seed=0,
                study="movie",
            )
            if fold.number == number
        ]
        for part in ("training", "validation"):
            expected = (getattr(fold, part) & labels.labelled).sum()
            assert (rows[f"n_{part}"] == expected).all()
    learned = table.assign(n=table["n_training"] + table["n_validation"]).groupby("split")["n"]
    assert learned.mean()["random"] == pytest.approx(0.75 * n, rel=0.02)
    # Half of the subjects, of three runs of four.
    assert learned.mean()["run_and_subject"] == pytest.approx(0.75 * n / 2, rel=0.1)


def test_a_split_that_claims_too_much_stops_the_run(monkeypatch):
    labels = movie_labels(13)

    def leaking(*arguments, **options):
        folds = make_folds(*arguments, **options)
        return [
            Fold(fold.name, fold.number, fold.training | fold.test, fold.validation, fold.test)
            for fold in folds
        ]

    monkeypatch.setattr("scripts.emotions.decoding.audit_volumes.make_folds", leaking)
    with pytest.raises(InputError, match=r"movie, split run, fold 0, movie times of test in train"):
        audited(labels, ["run"])
    assert len(audited(labels, ["random"]))
