"""RDMs of categories against scikit-learn's PCA and scipy, and what a choice of signs does."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from scripts.digits.codes.component_rdms import category_means, category_rdm
from workflow.lib.errors import InputError
from workflow.lib.rdms.components import principal_scores

CODES = np.repeat(np.arange(5), 8)


@pytest.fixture
def features():
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((5, 30)) * 1.5
    return StandardScaler().fit_transform(centres[CODES] + rng.standard_normal((40, 30)))


def with_signs(scores):
    """Turn components so that the largest score of each is positive."""
    return scores * np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])])


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_equals_scikit_learn_and_scipy(features, variance, metric):
    scores = with_signs(PCA(variance, svd_solver="full").fit_transform(features))
    means = np.stack([scores[code == CODES].mean(axis=0) for code in range(5)])
    found = category_rdm(features @ features.T, CODES, variance=variance, metric=metric)
    np.testing.assert_allclose(found, pdist(means, metric), atol=1e-9)


def test_with_all_components_the_cosine_is_that_of_the_units(features):
    means = np.stack([features[code == CODES].mean(axis=0) for code in range(5)])
    found = category_rdm(features @ features.T, CODES, variance=1.0)
    np.testing.assert_allclose(found, pdist(means, "cosine"), atol=1e-9)


def test_cosine_does_not_depend_on_signs_and_correlation_does(features):
    scores = principal_scores(features @ features.T, variance=0.9)
    turned = scores * np.where(np.arange(scores.shape[1]) % 2, -1, 1)
    both = [category_means(of, CODES) for of in (scores, turned)]
    np.testing.assert_allclose(*(pdist(means, "cosine") for means in both), atol=1e-12)
    assert np.abs(np.subtract(*(pdist(means, "correlation") for means in both))).max() > 0.01


def test_refuses_a_category_without_images(features):
    codes = np.where(CODES == 2, 3, CODES)
    with pytest.raises(InputError, match="no image of category number 2"):
        category_rdm(features @ features.T, codes)


def test_refuses_an_unknown_metric(features):
    with pytest.raises(InputError, match="found the metric 'euclid'"):
        category_rdm(features @ features.T, CODES, metric="euclid")
