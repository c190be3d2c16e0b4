"""Scores of pairs are those of other libraries; intervals and p-values hold what they promise."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import binom, pearsonr, spearmanr
from sklearn.metrics import r2_score

from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import bootstrap_similarities
from workflow.lib.inference.counts import image_counts
from workflow.lib.inference.held_out_null import WIDENING
from workflow.lib.pairs.evaluation import evaluate
from workflow.lib.pairs.predictions import PairPredictions, joined, symmetry_error
from workflow.lib.rdms.vectors import condensed_index


def among(images, true, predicted):
    """Return all pairs among images, from square matrices."""
    first, second = (images[i] for i in np.triu_indices(len(images), 1))
    return PairPredictions(first, second, true[first, second], predicted[first, second])


def between(left, right, true, predicted):
    first, second = (part.ravel() for part in np.meshgrid(left, right, indexing="ij"))
    return PairPredictions(first, second, true[first, second], predicted[first, second])


def matrices(n, rng, agreement=0.7, digits=None):
    """Return two dissimilarity matrices that share some of their features, with ties or not."""
    features = rng.standard_normal((n, 6))
    own = [
        agreement * features + np.sqrt(1 - agreement**2) * rng.standard_normal((n, 6))
        for _ in range(2)
    ]
    distances = [pdist(f) + 3 for f in own]
    return [squareform(d if digits is None else d.round(digits)) for d in distances]


def folds_of(n, n_folds, kind, true, predicted):
    parts = np.array_split(np.random.default_rng(n).permutation(n), n_folds)
    if kind == "among":
        return [among(np.sort(part), true, predicted) for part in parts]
    return [
        between(np.setdiff1d(np.arange(n), part), np.sort(part), true, predicted) for part in parts
    ]


def score(tests, *, n_resamples=50, n_permutations=19, seed=0, n=None):
    n = n or 1 + max(max(test.first.max(), test.second.max()) for test in tests)
    rng = np.random.default_rng(seed)
    return evaluate(
        tests, counts=image_counts(n, n_resamples, rng), n_permutations=n_permutations, rng=rng
    )


def values(tests, **options):
    return score(tests, **options).table.set_index("measure")["value"]


def by_hand(tests):
    """Return the measures by other libraries, a fold or an image at a time."""
    whole = joined(tests)
    rows = []
    for test in tests:
        left, right = set(test.first.tolist()), set(test.second.tolist())
        rows_of = right if not left & right else left | right
        for image in rows_of:
            of_image = (test.first == image) | (test.second == image)
            correlation = pearsonr(test.true[of_image], test.predicted[of_image])[0]
            # Three pairs of an image can be alike once they are rounded: nothing is told of them.
            rows.append(0 if np.isnan(correlation) else correlation)
    return {
        "r2": r2_score(whole.true, whole.predicted),
        "spearman": np.mean([spearmanr(t.true, t.predicted)[0] for t in tests]),
        "pearson": np.mean([pearsonr(t.true, t.predicted)[0] for t in tests]),
        "row_pearson": np.mean(rows),
    }


@settings(max_examples=30, deadline=None)
@given(
    st.integers(12, 30),
    st.integers(1, 3),
    st.sampled_from(["among", "between"]),
    st.sampled_from([None, 1]),
    st.integers(0, 10**6),
)
@example(14, 3, "among", 1, 26).via("an image whose three pairs are equally dissimilar")
@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_scores_are_those_of_scipy_and_scikit_learn(n, n_folds, kind, digits, seed):
    true, predicted = matrices(n, np.random.default_rng(seed), digits=digits)
    n_folds = n_folds + (kind == "between")
    tests = folds_of(n, n_folds, kind, true, predicted)
    found, expected = values(tests), by_hand(tests)
    for measure, value in expected.items():
        assert found[measure] == pytest.approx(value, abs=1e-10), measure


def test_leaked_folds_are_scored_together():
    n, rng = 20, np.random.default_rng(1)
    true, predicted = matrices(n, rng)
    first, second = np.triu_indices(n, 1)
    tests = [
        PairPredictions(
            first[part], second[part], true[first, second][part], predicted[first, second][part]
        )
        for part in np.array_split(rng.permutation(first.size), 4)
    ]
    found = values([joined(tests)])
    whole = by_hand([among(np.arange(n), true, predicted)])
    assert found.to_dict() == pytest.approx(whole)
    with pytest.raises(InputError, match="test folds of pairs dealt out at random together"):
        score(tests)


def test_resamples_are_those_of_the_library_s_bootstrap():
    n, rng = 15, np.random.default_rng(2)
    true, predicted = matrices(n, rng, digits=1)
    counts = image_counts(n, 30, rng)
    test = among(np.arange(n), true, predicted)
    found = evaluate([test], counts=counts, n_permutations=9, rng=rng).draws
    for column, name in ((1, "spearman"), (2, "pearson")):
        expected = bootstrap_similarities(test.predicted, test.true, name, counts, n_images=n)
        np.testing.assert_allclose(found[:, column], expected[:, 0, 0], atol=1e-10)


@pytest.mark.parametrize("kind", ["among", "between"])
def test_resamples_are_those_of_copied_images(kind):
    n, rng = 24, np.random.default_rng(3)
    true, predicted = matrices(n, rng, digits=1)
    tests = folds_of(n, 2, kind, true, predicted)
    counts = image_counts(n, 5, rng)
    draws = evaluate(tests, counts=counts, n_permutations=9, rng=rng).draws
    for drawn, count in zip(draws, counts, strict=True):
        copies = [
            PairPredictions(
                *(
                    np.repeat(part, count[test.first] * count[test.second])
                    for part in (test.first, test.second, test.true, test.predicted)
                )
            )
            for test in tests
        ]
        expected = by_hand_of_copies(copies, count)
        np.testing.assert_allclose(drawn, expected, atol=1e-10)


def by_hand_of_copies(tests, count):
    """Return the measures where pairs are repeated; rows are weighted by how often drawn."""
    whole = joined(tests)
    rows, weights = [], []
    for test in tests:
        left, right = set(test.first.tolist()), set(test.second.tolist())
        for image in right if not left & right else left | right:
            of_image = (test.first == image) | (test.second == image)
            r = pearsonr(test.true[of_image], test.predicted[of_image])[0]
            if np.isfinite(r):
                rows.append(r)
                weights.append(count[image])
    return [
        r2_score(whole.true, whole.predicted),
        np.mean([spearmanr(t.true, t.predicted)[0] for t in tests]),
        np.mean([pearsonr(t.true, t.predicted)[0] for t in tests]),
        np.average(rows, weights=weights),
    ]


@pytest.mark.parametrize("kind", ["among", "between"])
def test_p_is_uniform_where_predictions_know_nothing(kind):
    n_tests, n_permutations, n = 300, 39, 20
    p = []
    for seed in range(n_tests):
        rng = np.random.default_rng([seed, 7])
        # Features of images, so that pairs that share an image are alike.
        true, predicted = (squareform(pdist(rng.standard_normal((n, 2)))) for _ in range(2))
        tests = folds_of(n, 2, kind, true, predicted)
        p.append(score(tests, n_permutations=n_permutations, n_resamples=3, seed=seed).table["p"])
    # Of 40 equally likely ranks, 2 and 10 have a p of up to 0.05 and 0.25.
    for level in (0.05, 0.25):
        for measure, below in zip(score(tests).table["measure"], np.transpose(p), strict=True):
            low, high = binom.ppf([0.0005, 0.9995], n_tests, level)
            assert low <= np.sum(below <= level + 1e-9) <= high, (measure, level)


def test_a_wider_null_gives_the_p_of_a_smaller_score():
    """Scores are 0 on average over orders: widening by sqrt(2) is dividing the score by it."""
    rng = np.random.default_rng(8)
    true, predicted = matrices(20, rng, agreement=0.45)
    tests = folds_of(20, 2, "among", true, predicted)
    counts = image_counts(20, 3, rng)

    def p_of(widening):
        return evaluate(
            tests,
            counts=counts,
            n_permutations=999,
            rng=np.random.default_rng(1),
            widening=widening,
        ).table.set_index("measure")["p"]

    wide, plain = p_of(WIDENING), p_of(1.0)
    squares = [squareform(t.predicted) for t in tests]
    targets = [t.true for t in tests]
    observed, reached = values(tests)["pearson"], 0
    for _ in range(1500):
        score_of_order = 0.0
        for square, target in zip(squares, targets, strict=True):
            order = rng.permutation(len(square))
            moved = squareform(square[np.ix_(order, order)], checks=False)
            score_of_order += pearsonr(moved, target)[0] / 2
        reached += score_of_order >= observed / np.sqrt(2)
    assert plain["pearson"] < wide["pearson"]
    assert wide["pearson"] == pytest.approx(reached / 1500, abs=0.05)


def test_p_is_the_least_there_is_where_predictions_are_right():
    true, predicted = matrices(30, np.random.default_rng(1), agreement=0.98)
    table = score(folds_of(30, 3, "among", true, predicted), n_permutations=99).table
    np.testing.assert_allclose(table["p"], 0.01)


def test_permutations_exchange_images_of_a_fold_only():
    # What differs between folds but not within says nothing about pairs of a fold.
    n = 30
    parts = np.array_split(np.arange(n), 3)
    rng = np.random.default_rng(2)
    tests = []
    for shift, part in enumerate(parts):
        true, predicted = (squareform(pdist(rng.standard_normal((n, 2)))) for _ in range(2))
        tests.append(among(part, true + 100 * shift, predicted + 100 * shift))
    table = score(tests, n_permutations=99).table.set_index("measure")
    assert table.loc["r2", "value"] > 0.99
    # Across folds no order would score as well, and p would be the least there is, 0.01.
    assert (table["p"] > 0.05).all()
    assert abs(table.loc["pearson", "value"]) < 0.5


def test_the_mean_of_the_training_pairs_scores_zero():
    rng = np.random.default_rng(4)
    true, _ = matrices(40, rng)
    tests = []
    for part in np.array_split(np.arange(40), 4):
        others = np.setdiff1d(np.arange(40), part)
        mean = squareform(true[np.ix_(others, others)], checks=False).mean()
        tests.append(among(part, true, np.full_like(true, mean)))
    table = score(tests).table.set_index("measure")
    assert (table.loc[["spearman", "pearson", "row_pearson"], "value"] == 0).all()
    assert (table["p"] == 1).all()
    assert -0.2 < table.loc["r2", "value"] < 0


@pytest.mark.slow
def test_intervals_hold_the_score_of_the_population():
    """Of images drawn from a population, 95 % intervals hold what all of it would score."""
    n, n_tests = 60, 300
    rng = np.random.default_rng(5)

    def sample(m):
        # Predictions see some features of the images, with weights of their own.
        features = rng.standard_normal((m, 8))
        return squareform(pdist(features)), squareform(pdist(features * np.linspace(1, 0, 8)) + 1)

    true, predicted = sample(1500)
    population = by_hand_of_all(true, predicted)
    hits = np.zeros(4)
    for seed in range(n_tests):
        found = score(folds_of(n, 3, "among", *sample(n)), n_resamples=200, seed=seed).table
        hits += (found["low"] <= population) & (population <= found["high"])
    # Nominal, within what 300 samples can tell; a bootstrap of pairs errs on the safe side.
    assert (hits / n_tests >= 0.90).all(), hits / n_tests
    assert (hits / n_tests <= 0.995).all(), hits / n_tests


def by_hand_of_all(true, predicted):
    upper = np.triu_indices(len(true), 1)
    y, x = true[upper], predicted[upper]
    rows = [
        pearsonr(np.delete(true[i], i), np.delete(predicted[i], i))[0] for i in range(len(true))
    ]
    return np.array([r2_score(y, x), spearmanr(y, x)[0], pearsonr(y, x)[0], np.mean(rows)])


def test_predictions_that_are_no_numbers_are_refused():
    true, predicted = matrices(12, np.random.default_rng(1))
    predicted[3, 4] = predicted[4, 3] = np.nan
    with pytest.raises(InputError, match="1 of 66 predicted dissimilarities that are no numbers"):
        score([among(np.arange(12), true, predicted)])


def test_symmetry_errors_are_the_largest_difference():
    table = np.arange(25.0).reshape(5, 5)
    first, second = np.triu_indices(5, 1)
    error = symmetry_error(lambda a, b: table[a, b], first, second)
    assert error == np.abs(table - table.T).max()
    assert symmetry_error(lambda a, b: table[a, b] + table[b, a], first, second) == 0


def test_condensed_values_are_those_of_the_pairs():
    # The helper above takes squares; the library condensed vectors.
    true, _ = matrices(9, np.random.default_rng(1))
    test = among(np.array([1, 4, 7]), true, true)
    vector = squareform(true, checks=False)
    np.testing.assert_array_equal(vector[condensed_index(test.first, test.second, 9)], test.true)
