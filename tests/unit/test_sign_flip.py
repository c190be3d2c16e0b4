"""Sign-flip tests over subjects: against enumeration by hand, scipy, and known truths."""

import itertools

import numpy as np
import pytest
import scipy.stats

from workflow.lib.errors import InputError
from workflow.lib.inference.sign_flip import all_signs, sign_flip_test

TAILS = {"greater": lambda t: t, "less": lambda t: -t, "two-sided": abs}
RNG = np.random.default_rng(0)


def t_of(values):
    return values.mean(axis=0) / (values.std(axis=0, ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("alternative", TAILS)
def test_equals_enumeration_of_t_statistics(alternative):
    values = np.random.default_rng(1).standard_normal((7, 2, 3)) + 0.4
    found = sign_flip_test(values, rng=RNG, alternative=alternative)
    tail = TAILS[alternative]
    observed = tail(t_of(values))
    null = np.stack(
        [
            tail(t_of(np.reshape(signs, (7, 1, 1)) * values))
            for signs in itertools.product([1, -1], repeat=7)
        ]
    )
    np.testing.assert_array_equal(found.p, (null >= observed - 1e-9).mean(axis=0))
    largest = null.max(axis=(1, 2))[:, None, None]
    np.testing.assert_array_equal(found.p_max, (largest >= observed - 1e-9).mean(axis=0))
    np.testing.assert_allclose(found.t, t_of(values))
    assert found.complete
    assert found.n_flips == 128


@pytest.mark.parametrize("alternative", TAILS)
def test_single_cells_equal_scipy(alternative):
    values = np.random.default_rng(2).standard_normal(9) + 0.3
    found = sign_flip_test(values, rng=RNG, alternative=alternative)
    reference = scipy.stats.permutation_test(
        (values,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative=alternative,
    )
    assert found.p == pytest.approx(reference.pvalue, abs=1e-12)


def test_six_subjects_who_all_agree():
    """Of 64 patterns only the identity reaches it; in size also its opposite."""
    values = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.4])
    assert sign_flip_test(values, rng=RNG).p == 1 / 64
    assert sign_flip_test(values, rng=RNG, alternative="two-sided").p == 2 / 64
    assert sign_flip_test(values, rng=RNG, alternative="less").p == 1


def test_equal_values_do_not_overflow():
    found = sign_flip_test(np.full((6, 2), 0.1), rng=RNG)
    assert np.isfinite(found.t).all()
    assert (found.t > 1e5).all()
    np.testing.assert_array_equal(found.p, 1 / 64)
    np.testing.assert_array_equal(found.p_max, 1 / 64)


def test_subjects_at_exactly_zero_say_nothing():
    found = sign_flip_test(np.zeros((6, 2)), rng=RNG, alternative="two-sided")
    np.testing.assert_array_equal(found.p, 1)
    np.testing.assert_array_equal(found.t, 0)


def test_one_subject_has_no_t():
    assert np.isnan(sign_flip_test(np.array([[0.2, 0.3]]), rng=RNG).t).all()


def test_ties_count_although_sums_round_differently():
    """0.1 + 0.2 and 0.3 are the same up to rounding: flipping both ways ties with no flip."""
    values = np.array([0.1, 0.2, -0.3, 0.1, 0.2, -0.3])
    patterns = all_signs(6)
    exact = np.round(patterns @ values, 12) >= np.round(values.sum(), 12)
    assert sign_flip_test(values, rng=RNG).p == exact.mean()


def test_five_subjects_are_refused_with_the_reason():
    found = sign_flip_test(np.ones((5, 3)) + np.arange(5)[:, None], rng=RNG)
    assert np.isnan(found.p).all()
    assert np.isnan(found.p_max).all()
    assert found.n_flips == 0
    assert "5 subjects" in found.reason
    assert np.isfinite(found.t).all()


def test_random_flips_count_the_data_as_one_of_them():
    values = np.random.default_rng(3).standard_normal(20) + 5
    found = sign_flip_test(values, rng=np.random.default_rng(4), n_flips=199)
    assert not found.complete
    assert found.p == 1 / 200


def test_random_flips_approach_the_enumeration():
    values = np.random.default_rng(5).standard_normal((12, 3)) + 0.3
    complete = sign_flip_test(values, rng=RNG, n_flips=4096)
    random = sign_flip_test(values, rng=np.random.default_rng(6), n_flips=4000)
    assert complete.complete
    assert not random.complete
    # Four standard errors of a proportion from 4,000 flips.
    np.testing.assert_allclose(random.p, complete.p, atol=4 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize("alternative", TAILS)
def test_null_is_kept_at_nominal_rate(alternative):
    rng = np.random.default_rng(7)
    n_tests, alpha = 1500, 4 / 64
    # Scales differ a hundredfold between cells: only studentised cells share one threshold.
    scales = np.array([0.1, 1.0, 10.0])
    found = [
        sign_flip_test(scales * rng.standard_normal((6, 3)), rng=rng, alternative=alternative)
        for _ in range(n_tests)
    ]
    single = sum(result.p[0] <= alpha for result in found)
    family = [result.p_max.argmin() for result in found if result.p_max.min() <= alpha]
    low, high = scipy.stats.binom.ppf([0.001, 0.999], n_tests, alpha)
    assert low <= single <= high
    assert low <= len(family) <= high
    # No cell takes more than its share of the false positives.
    assert scipy.stats.chisquare(np.bincount(family, minlength=3)).pvalue > 0.001


def test_planted_effect_is_found_in_its_cell_only():
    rng = np.random.default_rng(8)
    values = rng.standard_normal((12, 6))
    values[:, 2] += 2.5
    found = sign_flip_test(values, rng=rng)
    assert found.p_max[2] <= 2 / 4096
    assert (np.delete(found.p_max, 2) > 0.05).all()
    assert (found.p_max >= found.p).all()


@pytest.mark.parametrize(
    ("values", "alternative", "message"),
    [(np.r_[np.ones(6), np.nan], "greater", "1 NaN"), (np.ones(6), "above", "'above'")],
)
def test_refuses(values, alternative, message):
    with pytest.raises(InputError, match=message):
        sign_flip_test(values, rng=RNG, alternative=alternative)
