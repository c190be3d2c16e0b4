"""Agreement of observers is what textbooks, other libraries and plain counting give."""

from itertools import combinations, pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from scripts.emotions.labelling.agreement import (
    ALL,
    Sums,
    block_weights,
    cohen_kappa,
    fleiss_kappa,
    measure_agreement,
    read_agreement,
    shared_rows,
    specific_agreement,
)
from scripts.emotions.labelling.label_rules import Marks
from workflow.lib.errors import InputError
from workflow.lib.tables import write_table

TR = 2.0
# Fleiss 1971's layout with the numbers of the usual worked example: 14 raters, kappa 0.210.
WORKED = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


def sums(counts, n_observers):
    return Sums.of(counts, n_observers, np.ones(len(counts)))


def marks_of(seen):
    n_observers, _, n_emotions = seen.shape
    names = tuple(f"E{k}" for k in range(n_emotions))
    return Marks(seen, tuple(f"{place:02d}" for place in range(n_observers)), names)


def stretches(rng, *, n_observers, n_volumes, n_emotions, wrong):
    """Return what observers see of episodes of ten volumes, each answer wrong by chance."""
    truth = rng.random((n_volumes // 10, n_emotions)) < 0.3
    truth = np.repeat(truth, 10, axis=0)
    return truth ^ (rng.random((n_observers, *truth.shape)) < wrong)


def measure(marks, *, n_bootstrap=0, min_observers=2, runs=None, seed=0):
    return measure_agreement(
        marks,
        np.repeat("1", marks.seen.shape[1]) if runs is None else runs,
        rule="any_character",
        min_observers=min_observers,
        tr=TR,
        n_bootstrap=n_bootstrap,
        rng=np.random.default_rng(seed),
    )


def value(table, statistic, emotion=ALL, **labels):
    rows = table[(table["statistic"] == statistic) & (table["emotion"] == emotion)]
    for name, label in labels.items():
        rows = rows[rows[name] == label]
    return rows["value"].item()


def test_fleiss_kappa_is_that_of_the_worked_example():
    assert fleiss_kappa(sums(WORKED, 14))[-1] == pytest.approx(0.20993, abs=5e-6)


def test_kappa_of_an_emotion_is_that_of_pairs_of_answers():
    seen = stretches(np.random.default_rng(1), n_observers=5, n_volumes=80, n_emotions=3, wrong=0.2)
    found = fleiss_kappa(sums(seen.sum(axis=0), 5))
    observed, expected = [], []
    for emotion in range(3):
        answers = seen[:, :, emotion]
        pairs = [answers[i] != answers[j] for i, j in permutations(range(5), 2)]
        observed.append(np.mean(pairs))
        every = answers.ravel()
        expected.append(np.mean(every[:, np.newaxis] != every))
        assert found[emotion] == pytest.approx(1 - observed[-1] / expected[-1])
    assert found[-1] == pytest.approx(1 - sum(observed) / sum(expected))


def test_two_observers_with_equal_shares_have_one_kappa():
    rng = np.random.default_rng(2)
    first = rng.random((60, 1)) < 0.4
    second = rng.permutation(first)
    kappa = fleiss_kappa(sums(np.add(first, second, dtype=int), 2))[0]
    assert cohen_kappa(first, second) == pytest.approx(kappa)


def test_cohen_kappa_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    first = rng.integers(0, 4, 200)
    second = np.where(rng.random(200) < 0.6, first, rng.integers(0, 4, 200))
    one_hot = [labels[:, np.newaxis] == np.arange(4) for labels in (first, second)]
    assert cohen_kappa(*one_hot) == pytest.approx(cohen_kappa_score(first, second))


def test_specific_agreement_is_how_often_another_observer_sees_it_too():
    seen = stretches(np.random.default_rng(4), n_observers=4, n_volumes=60, n_emotions=2, wrong=0.2)
    found = specific_agreement(sums(seen.sum(axis=0), 4))
    pairs = list(permutations(range(4), 2))
    both = np.array([(seen[i] & seen[j]).sum(axis=0) for i, j in pairs]).sum(axis=0)
    one = np.array([seen[i].sum(axis=0) for i, _ in pairs]).sum(axis=0)
    np.testing.assert_allclose(found, [*(both / one), both.sum() / one.sum()])


def test_observers_of_one_mind_agree_perfectly():
    seen = stretches(np.random.default_rng(5), n_observers=3, n_volumes=200, n_emotions=2, wrong=0)
    table = measure(marks_of(seen), n_bootstrap=50)
    assert (table.loc[table["statistic"] != "n", "value"] == 1).all()
    limits = table.loc[table["statistic"] == "fleiss_kappa", ["low", "high"]]
    np.testing.assert_allclose(limits, 1)


def test_observers_who_answer_by_chance_do_not_agree():
    seen = np.random.default_rng(6).random((9, 3000, 4)) < 0.2
    table = measure(marks_of(seen), n_bootstrap=200, min_observers=5)
    kappas = table[table["statistic"] == "fleiss_kappa"]
    assert (kappas["value"].abs() < 0.02).all()
    assert (table.loc[table["statistic"] == "cohen_kappa", "value"].abs() < 0.06).all()


def test_an_emotion_that_nobody_sees_has_no_agreement():
    seen = stretches(np.random.default_rng(7), n_observers=3, n_volumes=90, n_emotions=2, wrong=0.1)
    seen[:, :, 1] = False
    table = measure(marks_of(seen), n_bootstrap=20)
    assert np.isnan(value(table, "fleiss_kappa", "E1"))
    assert np.isnan(value(table, "specific_agreement", "E1"))
    assert value(table, "fleiss_kappa", ALL) == pytest.approx(value(table, "fleiss_kappa", "E0"))


def test_stretches_are_drawn_whole_and_within_a_run():
    runs = np.repeat(["a", "b"], [70, 45])
    weights = block_weights(runs, tr=TR, n_bootstrap=40, rng=np.random.default_rng(8))
    assert weights.shape == (40, 115)
    # Of 60 s, or what is left at the end of a run.
    bounds = [0, 30, 60, 70, 100, 115]
    for first, stop in pairwise(bounds):
        np.testing.assert_array_equal(weights[:, first:stop].std(axis=1), 0)
    np.testing.assert_array_equal(weights[:, bounds[:-1]].sum(axis=1), 5)
    assert weights.std(axis=0).min() > 0


def test_intervals_hold_the_kappa_of_the_whole_movie():
    """95 % of intervals of parts of an endless movie hold its kappa."""
    rng = np.random.default_rng(9)
    long = stretches(rng, n_observers=5, n_volumes=400_000, n_emotions=1, wrong=0.15)
    truth = fleiss_kappa(sums(long.sum(axis=0), 5))[0]
    held = []
    for first in range(0, 200 * 2000, 2000):
        part = long[:, first : first + 2000]
        weights = block_weights(np.zeros(2000), tr=TR, n_bootstrap=200, rng=rng)
        draws = fleiss_kappa(Sums.of(part.sum(axis=0), 5, weights))[:, 0]
        low, high = np.quantile(draws, [0.025, 0.975])
        held.append(low <= truth <= high)
    assert 0.89 <= np.mean(held) <= 0.985


def test_an_observer_who_answers_by_chance_is_told_apart():
    rng = np.random.default_rng(10)
    seen = stretches(rng, n_observers=6, n_volumes=600, n_emotions=3, wrong=0.05)
    seen[4] = rng.random(seen[4].shape) < 0.3
    table = measure(marks_of(seen), min_observers=3)
    without = table[table["statistic"] == "kappa_without"].set_index("observer")["value"]
    assert without.idxmax() == "04"
    agrees = table[table["statistic"] == "agrees_with_others"].set_index("observer")["value"]
    assert agrees.idxmin() == "04"
    assert agrees["04"] == pytest.approx(0.3, abs=0.1)
    pairs = table[table["statistic"] == "cohen_kappa"]
    of_chance = (pairs["observer"] == "04") | (pairs["other"] == "04")
    assert pairs.loc[of_chance, "value"].max() < 0.2 < pairs.loc[~of_chance, "value"].min()
    assert len(pairs) == len(list(combinations(range(6), 2)))


def test_labels_that_hang_on_one_observer_go_with_it():
    # Three, two and three observers see the one emotion in the first three volumes.
    seen = np.zeros((3, 40, 1), bool)
    seen[:, 0], seen[:2, 1], seen[:, 2] = True, True, True
    table = measure(marks_of(seen), min_observers=2)
    kept = {place: value(table, "labels_kept", observer=place) for place in ("00", "01", "02")}
    assert kept == {"00": pytest.approx(2 / 3), "01": pytest.approx(2 / 3), "02": 1}
    assert value(table, "agrees_with_others", observer="02") == pytest.approx(2 / 3)
    assert value(table, "agrees_with_others", observer="00") == 1


def test_where_all_must_agree_no_observer_can_be_left_out():
    seen = stretches(np.random.default_rng(1), n_observers=3, n_volumes=90, n_emotions=1, wrong=0.1)
    statistics = set(measure(marks_of(seen), min_observers=3)["statistic"])
    assert statistics == {"fleiss_kappa", "specific_agreement", "cohen_kappa"}


def test_one_observer_agrees_with_nobody():
    with pytest.raises(InputError, match="found 1 observer, expected at least two"):
        measure(marks_of(np.ones((1, 10, 1), bool)), min_observers=1)


def test_common_rows_are_counted_by_character_and_seconds():
    cells = [
        *(("a", 0.0, 4.0, "X"), ("a", 4.0, 8.0, "X"), ("a", 9.0, 12.0, "Y")),
        *(("b", 0.0, 4.0, "X"), ("b", 4.0, 8.0, "Y")),
        *(("c", 1.0, 4.0, "X"), ("c", 4.0, 8.0, "X"), ("c", 9.0, 12.0, "Y")),
    ]
    rows = pd.DataFrame(cells, columns=["observer", "start", "end", "character"])
    found = shared_rows(rows).set_index(["observer", "other"])["value"]
    assert found.to_dict() == {
        ("a", "b"): 1 / 2,
        ("a", "c"): pytest.approx(2 / 3),
        ("b", "c"): 0,
    }


def test_tables_keep_the_names_of_observers(tmp_path):
    seen = stretches(np.random.default_rng(1), n_observers=3, n_volumes=90, n_emotions=1, wrong=0.1)
    table = measure(marks_of(seen))
    write_table(table, tmp_path / "agreement.csv")
    read = read_agreement(tmp_path / "agreement.csv")
    assert read["observer"].dropna().tolist() == table["observer"].dropna().tolist()
    np.testing.assert_allclose(read["value"], table["value"], rtol=1e-8)


def test_volumes_and_episodes_are_counted_by_emotion():
    seen = np.zeros((3, 12, 2), bool)
    # E0 in volumes 0 to 2, 5, and 6 in another run; E1 in 8, and by one observer in 10.
    seen[:, [0, 1, 2, 5, 6], 0], seen[:2, 8, 1], seen[0, 10, 1] = True, True, True
    table = measure(marks_of(seen), runs=np.repeat(["a", "b"], 6))
    rows = table[table["statistic"] == "fleiss_kappa"].set_index("emotion")
    found = rows[["n_shown", "n_labelled", "n_episodes"]].astype(int)
    assert found.T.to_dict("list") == {"E0": [5, 5, 3], "E1": [2, 1, 1], "all": [7, 6, 4]}
