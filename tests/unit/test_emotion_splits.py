"""Splits of volumes keep apart what they say, and what is predicted is read back as it was."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.emotions.decoding.predictions import (
    empty_predictions,
    model_of,
    prediction_file,
    read_predictions,
)
from scripts.emotions.decoding.split_units import nearest_episodes
from scripts.emotions.decoding.splits import (
    MIN_GAP,
    N_SUBJECT_GROUPS,
    RANDOM_MATCHED,
    SPLITS,
    make_folds,
)
from scripts.emotions.labelling.labels import Labels, shifted
from tests.unit.emotion_labels import CLASSES, SUBJECTS, movie_labels
from workflow.lib.errors import InputError

# Units that are no groups.
NEAR = {"neighbours", "near movie times"}


def folds_of(labels, name, n_folds=3, share=0.2, subjects=SUBJECTS, seed=0):
    return make_folds(
        labels, subjects, name, n_folds=n_folds, validation_share=share, seed=seed, study="movie"
    )


def learned_of(fold):
    return fold.training | fold.validation


def what_of(labels, unit):
    """Return the moment, episode, run, scan or subject of every volume, by brute force."""
    shape = len(SUBJECTS), labels.n_rows
    runs = labels.table["run"].astype(int).to_numpy()
    values = {
        "movie times": np.unique(labels.table["shown"], return_inverse=True)[1],
        "episodes": labels.episodes,
        "runs": runs,
        "scans": np.add.outer(1000 * np.arange(len(SUBJECTS)), runs),
        "subjects": np.arange(len(SUBJECTS))[:, None],
    }[unit]
    return np.broadcast_to(values, shape)


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("seed", range(3))
def test_every_used_volume_is_tested_once_and_parts_do_not_overlap(name, seed):
    labels = movie_labels(seed)
    folds = folds_of(labels, name)
    tested = sum(fold.test.astype(int) for fold in folds)
    np.testing.assert_array_equal(tested, np.tile(labels.used, (len(SUBJECTS), 1)))
    for number, fold in enumerate(folds):
        assert (fold.name, fold.number) == (name, number)
        parts = fold.training.astype(int) + fold.validation + fold.test
        assert parts.max() == 1
        assert not parts[:, ~labels.used].any()
        assert fold.validation.any()


@pytest.mark.parametrize("name", SPLITS)
def test_what_a_split_says_it_holds_apart_is_apart(name):
    labels = movie_labels(4)
    for fold in folds_of(labels, name):
        for unit in set(SPLITS[name].apart) - NEAR:
            of = what_of(labels, unit)
            tested, learned = (
                set(of[part].tolist()) - {-1} for part in (fold.test, learned_of(fold))
            )
            assert not tested & learned, unit
        apart = SPLITS[name].validation_apart or SPLITS[name].apart
        for unit in set(apart) - NEAR:
            of = what_of(labels, unit)
            validated = set(of[fold.validation].tolist()) - {-1}
            assert not validated & set(of[fold.training].tolist()), unit


def test_what_follows_in_the_movie_is_not_learned_from_though_it_lies_in_another_run():
    labels = movie_labels(21)
    # One run after the other, without a gap.
    table = labels.table.assign(shown=2.0 * np.arange(labels.n_rows))
    labels = type(labels)(table, CLASSES)
    times = table["shown"].to_numpy()
    for name in ("run", "run_and_subject"):
        for fold in folds_of(labels, name):
            for of, others in (
                ("test", "training"),
                ("test", "validation"),
                ("validation", "training"),
            ):
                own, seen = (times[getattr(fold, part).any(axis=0)] for part in (of, others))
                assert np.abs(own[:, None] - seen).min() >= MIN_GAP
            runs = set(table["run"][fold.test.any(axis=0)])
            outside = ~(fold.test | learned_of(fold))[learned_of(fold).any(axis=1)].any(axis=0)
            left_out = outside & labels.used & ~table["run"].isin(runs).to_numpy()
            # Four volumes on each side of a border at most, of three borders.
            assert 0 < left_out.sum() <= 4 * 6


@pytest.mark.parametrize("name", [name for name, split in SPLITS.items() if split.apart])
def test_what_two_runs_show_both_is_kept_apart_by_when_it_was_shown(name):
    # Times as published, of runs laid end to end: the movie shows 16 s twice between them.
    labels = movie_labels(23, n_episodes=18)
    table = labels.table.assign(time=2.0 * np.arange(labels.n_rows), used=True)
    ends = np.append(0, np.cumsum([labels.of_run(run).size for run in labels.runs]))
    late = 16.08 * np.searchsorted(ends, np.arange(labels.n_rows), side="right") - 16.08
    labels = Labels(table.assign(shown=table["time"] - late), CLASSES)
    shown = labels.table["shown"].to_numpy()
    for fold in folds_of(labels, name):
        tested, learned = (part.any(axis=0) for part in (fold.test, learned_of(fold)))
        gap = np.abs(shown[tested, None] - shown[learned]).min()
        if "near movie times" in SPLITS[name].apart:
            assert gap >= MIN_GAP
        elif "movie times" in SPLITS[name].apart:
            assert gap > 1
    # By the times of their labels no two volumes lie nearer than one follows the other.
    assert np.diff(table["time"]).min() == 2
    assert labels.moments[ends[1]] == labels.moments[ends[1] - 8]


def test_what_leaked_splits_share():
    labels = movie_labels(5)
    times = what_of(labels, "movie times")
    (random, *_), (subject, *_) = (folds_of(labels, name) for name in ("random", "subject"))
    assert np.isin(times[random.test], times[random.training]).mean() > 0.7
    assert np.isin(times[subject.test], times[learned_of(subject)]).all()


@pytest.mark.parametrize("subjects", [SUBJECTS, SUBJECTS[:1]], ids=["four", "one"])
@pytest.mark.parametrize("seed", range(3))
def test_the_matched_random_split_learns_from_as_many_volumes_of_each_class_as_the_cleanest(
    subjects, seed
):
    labels = movie_labels(seed, n_episodes=18)
    clean = "run_and_subject" if len(subjects) > 1 else "run"
    random, matched, clean = (
        folds_of(labels, name, subjects=subjects, seed=seed)
        for name in ("random", RANDOM_MATCHED, clean)
    )
    for code in range(len(CLASSES)):
        for part in ("training", "validation"):
            fewer, expected = (
                [getattr(fold, part)[:, labels.codes == code].sum() for fold in folds]
                for folds in (matched, clean)
            )
            assert np.abs(np.array(fewer) - np.mean(expected)).max() < 1, (part, code)
    # The very folds of the random split, with less to learn from.
    for fewer, whole in zip(matched, random, strict=True):
        np.testing.assert_array_equal(fewer.test, whole.test)
        assert (learned_of(whole) | ~learned_of(fewer)).all()


@pytest.mark.parametrize("name", ["random", RANDOM_MATCHED, "tr", "episode"])
def test_classes_are_spread_evenly_over_folds(name):
    labels = movie_labels(6, n_episodes=18)
    folds = folds_of(labels, name)
    n = len(SUBJECTS) if name in ("random", RANDOM_MATCHED) else 1
    for code in range(len(CLASSES)):
        numbers = [fold.test[:n, labels.codes == code].sum() for fold in folds]
        # Moments or volumes differ by one at most; whole episodes by their lengths.
        most = 1 if name != "episode" else 16
        assert max(numbers) - min(numbers) <= most


def test_runs_and_subjects_are_left_out_one_by_one_where_folds_allow_it():
    labels = movie_labels(7)
    assert len(folds_of(labels, "run", n_folds=9)) == 4
    for fold in folds_of(labels, "run", n_folds=9):
        assert len(set(labels.table["run"][fold.test[0]])) == 1
    for fold in folds_of(labels, "subject", n_folds=9):
        assert fold.test.any(axis=1).sum() == 1
    assert len(folds_of(labels, "run_and_subject", n_folds=9)) == 4 * N_SUBJECT_GROUPS


def test_more_runs_than_folds_are_held_out_together():
    labels = movie_labels(8, n_runs=7)
    folds = folds_of(labels, "run", n_folds=3)
    runs = [set(labels.table["run"][fold.test[0]]) for fold in folds]
    assert sorted(map(len, runs)) == [2, 2, 3]
    assert set.union(*runs) == set("1234567")


@pytest.mark.parametrize("name", SPLITS)
def test_folds_depend_on_the_seed_alone(name):
    labels = movie_labels(9)
    one, same, other = (folds_of(labels, name, seed=seed) for seed in (1, 1, 2))
    for first, second in zip(one, same, strict=True):
        for part in ("training", "validation", "test"):
            np.testing.assert_array_equal(getattr(first, part), getattr(second, part))
    differ = [(a.validation != b.validation).any() for a, b in zip(one, other, strict=True)]
    assert any(differ)


def test_no_validation_share_holds_nothing_out():
    for name in SPLITS:
        for fold in folds_of(movie_labels(10), name, share=0.0):
            assert not fold.validation.any()
            outside = ~(fold.test | fold.training)
            fewer = name in ("run_and_subject", RANDOM_MATCHED)
            assert fewer or not outside[:, movie_labels(10).used].any()


def test_volumes_between_episodes_go_with_the_nearest():
    label = ["", "", "A", "", "", "", "B", "", "A"]
    table = pd.DataFrame(
        {
            "run": "1",
            "volume": np.arange(9),
            "time": 2.0 * np.arange(9),
            "shown": 2.0 * np.arange(9),
            "used": [True] * 7 + [False, True],
            "label": label,
            "agreement": 5,
            "episode": [-1, -1, 0, -1, -1, -1, 1, -1, 2],
            "sampled": True,
        }
    )
    two = pd.concat([table, table.assign(run="2", label="", episode=-1)], ignore_index=True)
    # The volume in the middle is as near to both; volume 7 is not used; run 2 has no episode.
    expected = [0, 0, 0, 0, 0, 1, 1, -1, 2, *[3] * 7, -1, 3]
    labels = Labels(two, ("A", "B"))
    np.testing.assert_array_equal(_in_order(nearest_episodes(labels)), expected)


def _in_order(numbers):
    """Return numbers named by their first appearance, -1 as it was."""
    seen = dict.fromkeys(n for n in numbers.tolist() if n >= 0)
    places = {n: place for place, n in enumerate(seen)}
    return [places.get(n, -1) for n in numbers.tolist()]


def test_episodes_counted_anew_in_every_run_are_different_ones():
    labels = movie_labels(11)
    again = labels.table.copy()
    for run in labels.runs:
        rows = labels.of_run(run)
        known = rows[labels.episodes[rows] >= 0]
        again.loc[known, "episode"] = labels.episodes[known] - labels.episodes[known].min()
    np.testing.assert_array_equal(
        nearest_episodes(Labels(again, CLASSES)), nearest_episodes(labels)
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(sorted(SPLITS)),
    n_folds=st.integers(2, 6),
    n_subjects=st.integers(2, 5),
    shift=st.integers(0, 40),
)
def test_any_movie_is_dealt_out_whole(seed, name, n_folds, n_subjects, shift):
    labels = movie_labels(seed, n_episodes=18)
    labels = shifted(labels, dict.fromkeys(labels.runs, shift))
    subjects = [f"{k:02d}" for k in range(n_subjects)]
    folds = folds_of(labels, name, n_folds=n_folds, subjects=subjects, share=0.1)
    tested = sum(fold.test.astype(int) for fold in folds)
    np.testing.assert_array_equal(tested, np.tile(labels.used, (n_subjects, 1)))
    for fold in folds:
        in_training = {code for code in labels.codes[fold.training.any(axis=0)] if code >= 0}
        assert in_training == set(range(len(CLASSES)))


def test_a_split_that_cannot_be_made_is_refused():
    labels = movie_labels(12)
    with pytest.raises(
        InputError, match=r"found 'volumes', expected one of random, random_matched"
    ):
        folds_of(labels, "volumes")
    with pytest.raises(InputError, match=r"n_folds 1 and validation_share 0\.2"):
        folds_of(labels, "run", n_folds=1)
    with pytest.raises(InputError, match=r"validation_share 1, expected"):
        folds_of(labels, "run", share=1.0)
    with pytest.raises(InputError, match=r"split subject: found 1 to hold out"):
        folds_of(labels, "subject", subjects=["01"])
    with pytest.raises(InputError, match=r"found 12 episodes of ANGERRAGE.*each of the 20 folds"):
        folds_of(labels, "episode", n_folds=20)


def test_a_class_of_one_run_cannot_be_left_out_with_it():
    labels = movie_labels(13)
    table = labels.table.copy()
    others = (table["label"] == "LOVE") & (table["run"] != "2")
    table.loc[others, "label"] = "FEAR"
    with pytest.raises(InputError, match=r"split run, fold \d: found no volume of LOVE"):
        folds_of(Labels(table, CLASSES), "run")


def test_predictions_come_back_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), size=(4, 20))
    fold = rng.integers(-1, 3, size=(4, 20))
    path = tmp_path / "predictions_cnn.h5"
    with prediction_file(path, model="cnn", classes=CLASSES, subjects=SUBJECTS) as writer:
        writer.add("run", probabilities, fold)
        writer.add("random", probabilities, np.full((4, 20), -1))
    found = read_predictions(path)
    assert set(found) == {"run", "random"}
    assert (found["run"].classes, found["run"].subjects) == (CLASSES, SUBJECTS)
    assert model_of(path) == "cnn"
    tested = fold >= 0
    np.testing.assert_array_equal(found["run"].fold, fold)
    np.testing.assert_array_equal(found["run"].tested, tested)
    np.testing.assert_allclose(found["run"].probabilities[tested], probabilities[tested], rtol=1e-6)
    assert np.isnan(found["run"].probabilities[~tested]).all()
    np.testing.assert_array_equal(
        found["run"].chosen, np.where(tested, probabilities.argmax(axis=-1), -1)
    )
    assert not found["random"].tested.any()


def test_what_is_no_probability_is_not_written(tmp_path):
    empty = empty_predictions(CLASSES, SUBJECTS, 20)
    path = tmp_path / "predictions_cnn.h5"
    with (
        pytest.raises(ValueError, match="no probabilities"),
        prediction_file(path, model="cnn", classes=CLASSES, subjects=SUBJECTS) as writer,
    ):
        writer.add("run", np.ones((4, 20, 3)), empty.fold + 1)
    assert not path.exists()
