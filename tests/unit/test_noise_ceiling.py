"""Noise ceilings against rsatoolbox, and what they bound."""

import numpy as np
import pytest
import scipy.stats
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import pdist

from workflow.lib.errors import InputError
from workflow.lib.rsa.comparators import COMPARATORS, compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling

METHODS = {
    "pearson": "corr",
    "cosine": "cosine",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
    "cosine_cov": "cosine_cov",
    "corr_cov": "corr_cov",
}
# rsatoolbox warns that the mean of ranks, which it pools for tau, is not the best there is.
pytestmark = pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
TIGHT = 1e-10


def agreeing_subjects(rng, n_subjects, n_images):
    """Subjects who share a geometry of two clusters, each with noise of their own."""
    shared = rng.standard_normal((n_images, 5)) + 3 * (np.arange(n_images) % 2)[:, None]
    return np.stack(
        [
            pdist(shared + 2 * rng.standard_normal(shared.shape), "correlation")
            for _ in range(n_subjects)
        ]
    )


def unrelated_subjects(rng, n_subjects, n_images):
    return rng.random((n_subjects, n_images * (n_images - 1) // 2))


def rating_subjects(rng, n_subjects, n_images):
    """Subjects who rate on scales of their own: 3 levels, 4, 5, ..., hence unequally many ties."""
    graded = agreeing_subjects(rng, n_subjects, n_images)
    graded /= graded.max(axis=1, keepdims=True)
    levels = np.arange(2, 2 + n_subjects)[:, None]
    return np.round(graded * levels)


KINDS = [agreeing_subjects, unrelated_subjects, rating_subjects]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("n_subjects", [2, 3, 8])
@pytest.mark.parametrize("n_images", [4, 40])
@pytest.mark.parametrize("name", METHODS)
def test_agrees_with_rsatoolbox(name, n_images, n_subjects, kind):
    # rsatoolbox pools ranks for rho-a as for spearman, and so do we: both agree, ties included.
    subjects = kind(np.random.default_rng(11), n_subjects, n_images)
    lower, upper = noise_ceiling(subjects, name)
    expected = boot_noise_ceiling(RDMs(subjects), method=METHODS[name])
    assert lower.shape == upper.shape == (n_subjects,)
    np.testing.assert_allclose([lower.mean(), upper.mean()], expected, rtol=0, atol=TIGHT)


def test_each_subjects_share_is_its_similarity_with_the_pooled_rdms():
    # rsatoolbox gives means only; the shares by the definition of Nili et al. 2014, from scipy.
    subjects = agreeing_subjects(np.random.default_rng(12), 4, 30)
    z = scipy.stats.zscore(subjects, axis=1)
    ranks = scipy.stats.rankdata(subjects, axis=1)
    for name, poolable, similarity in (
        ("pearson", z, scipy.stats.pearsonr),
        ("spearman", ranks, scipy.stats.spearmanr),
    ):
        lower, upper = noise_ceiling(subjects, name)
        for i, subject in enumerate(subjects):
            others = np.delete(poolable, i, axis=0).mean(axis=0)
            assert lower[i] == pytest.approx(similarity(subject, others).statistic, abs=TIGHT)
            everyone = poolable.mean(axis=0)
            assert upper[i] == pytest.approx(similarity(subject, everyone).statistic, abs=TIGHT)


@pytest.mark.parametrize("name", ["spearman", "rho-a"])
def test_pairs_with_equal_rank_sums_stay_tied(name):
    # Ranks (1..6), (2, 1, 3..6) and (1, 3, 2, 4..6). The other two of the last subject add up to
    # (3, 3, 6, 8, 10, 12), ranks (1.5, 1.5, 3, 4, 5, 6): deviations from 3.5 times those of
    # (1, 3, 2, 4, 5, 6) are 5 + 1 + .75 + .25 + 2.25 + 6.25 = 15.5, over lengths 17 and 17.5.
    subjects = np.array([[1.0, 2, 3, 4, 5, 6], [2, 1, 3, 4, 5, 6], [1, 3, 2, 4, 5, 6]])
    expected = 15.5 / np.sqrt(17 * 17.5) if name == "spearman" else 15.5 / 17.5
    assert noise_ceiling(subjects, name)[0][2] == pytest.approx(expected, abs=TIGHT)


@pytest.mark.parametrize("name", METHODS)
def test_two_subjects_predict_each_other(name):
    subjects = agreeing_subjects(np.random.default_rng(13), 2, 30)
    between = compare(subjects[:1], subjects[1:], name).item()
    np.testing.assert_allclose(noise_ceiling(subjects, name)[0], between, atol=TIGHT)


@pytest.mark.parametrize("name", ["pearson", "cosine"])
def test_no_model_passes_the_upper_ceiling(name):
    # The pooled RDM is the best there is: neither the truth, nor any mixture of subjects, nor the
    # pooled RDM pushed in any direction comes closer to the subjects on average.
    rng = np.random.default_rng(14)
    subjects = agreeing_subjects(rng, 5, 25)
    upper = noise_ceiling(subjects, name)[1].mean()
    units = subjects / np.linalg.norm(subjects, axis=1, keepdims=True)
    pooled = (scipy.stats.zscore(subjects, axis=1) if name == "pearson" else units).mean(axis=0)
    assert compare(pooled, subjects, name).mean() == pytest.approx(upper, abs=TIGHT)
    mixtures = rng.random((200, 5)) @ subjects
    pushed = pooled + 0.1 * pooled.std() * rng.standard_normal((200, pooled.size))
    for models in (mixtures, pushed):
        assert compare(models, subjects, name).mean(axis=1).max() < upper


@pytest.mark.parametrize("name", METHODS)
def test_identical_subjects_leave_no_room(name):
    subjects = np.tile(unrelated_subjects(np.random.default_rng(15), 1, 20), (3, 1))
    for ceiling in noise_ceiling(subjects, name):
        np.testing.assert_allclose(ceiling, 1, atol=TIGHT)


@pytest.mark.parametrize("name", ["pearson", "spearman", "rho-a"])
def test_unrelated_subjects_have_a_lower_ceiling_of_zero(name):
    # 40 images, 780 independent pairs: a correlation has the standard deviation 0.036, and the
    # mean of six hardly more.
    lower, upper = noise_ceiling(unrelated_subjects(np.random.default_rng(16), 6, 40), name)
    assert abs(lower.mean()) < 4 / np.sqrt(780)
    # One sixth of the pooled RDM is the subject's own: r = 1 / sqrt 6.
    assert upper.mean() == pytest.approx(1 / np.sqrt(6), abs=0.05)


@pytest.mark.parametrize("name", METHODS)
def test_float32_agrees_with_float64(name):
    subjects = agreeing_subjects(np.random.default_rng(17), 3, 80).astype(np.float32)
    expected = boot_noise_ceiling(RDMs(subjects.astype(np.float64)), method=METHODS[name])
    found = [share.mean() for share in noise_ceiling(subjects, name)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_a_single_subject_is_refused():
    with pytest.raises(InputError, match="found 1 subject, expected at least two"):
        noise_ceiling(np.random.default_rng(0).random((1, 10)), "pearson")


def test_every_comparator_has_an_oracle():
    assert set(COMPARATORS) == set(METHODS)
