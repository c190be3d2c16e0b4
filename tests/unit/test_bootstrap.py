"""Bootstrap of similarities and noise ceilings: against rsatoolbox on the same resamples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from scipy.spatial.distance import pdist

from workflow.lib import bootstrap
from workflow.lib.bootstrap import (
    bootstrap_ceilings,
    bootstrap_similarities,
    group_counts,
    image_counts,
    subject_counts,
)
from workflow.lib.comparators import compare
from workflow.lib.errors import InputError
from workflow.lib.noise_ceiling import noise_ceiling

METHODS = {"pearson": "corr", "cosine": "cosine", "spearman": "spearman", "rho-a": "rho-a"}
TIGHT = 1e-10


def random_rdms(rng, n_rdms, n_images):
    return rng.random((n_rdms, n_images * (n_images - 1) // 2))


def tied_rdms(rng, n_rdms, n_images):
    return rng.integers(0, 4, (n_rdms, n_images * (n_images - 1) // 2)).astype(float)


def clustered_rdms(rng, n_rdms, n_images):
    centres = 3 * rng.standard_normal((3, 4))
    cluster = rng.integers(0, 3, n_images)
    return np.stack(
        [pdist(centres[cluster] + rng.standard_normal((n_images, 4))) for _ in range(n_rdms)]
    )


KINDS = [random_rdms, tied_rdms, clustered_rdms]


def resampled(vectors, count):
    """Return rsatoolbox's resampled RDMs, pairs of copies being NaN."""
    images = np.repeat(np.arange(count.size), count)
    return RDMs(vectors).subsample_pattern("index", images)


def reference_similarities(models, brains, name, counts):
    return np.stack(
        [
            rsatoolbox_compare(
                resampled(models, count), resampled(brains, count), method=METHODS[name]
            )
            for count in counts
        ]
    )


def enough_images(counts, smallest=4):
    return counts[np.count_nonzero(counts, axis=1) >= smallest]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("n_images", [8, 30])
@pytest.mark.parametrize("name", METHODS)
def test_similarities_equal_rsatoolbox_on_the_same_resamples(name, n_images, kind):
    rng = np.random.default_rng(41)
    models, brains = kind(rng, 3, n_images), kind(rng, 2, n_images)
    counts = enough_images(image_counts(n_images, 40, rng))
    found = bootstrap_similarities(models, brains, name, counts, n_images=n_images)
    expected = reference_similarities(models, brains, name, counts)
    print(abs(found - expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=TIGHT)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("n_subjects", [2, 3, 5])
@pytest.mark.parametrize("name", METHODS)
def test_ceilings_equal_rsatoolbox_on_the_same_resamples(name, n_subjects, kind):
    rng = np.random.default_rng(42)
    n_images = 9
    subjects = kind(rng, n_subjects, n_images)
    counts = enough_images(image_counts(n_images, 40, rng), 5)
    drawn = subject_counts(n_subjects, len(counts), rng)
    lower, upper = bootstrap_ceilings(subjects, name, counts, drawn, n_images=n_images)
    for row, (count, members) in enumerate(zip(counts, drawn, strict=True)):
        sample = resampled(subjects, count).subsample(
            "index", np.repeat(np.arange(n_subjects), members)
        )
        expected = boot_noise_ceiling(sample, method=METHODS[name])
        assert np.nanmean(upper[row]) == pytest.approx(expected[1], abs=TIGHT)
        if np.count_nonzero(members) > 1:
            assert np.nanmean(lower[row]) == pytest.approx(expected[0], abs=TIGHT)
        else:
            assert np.isnan(lower[row]).all()
