"""Haxby et al. 2001, one slice of ventral temporal cortex: its categories are there to be read.

Raw files: github.com/PyMVPA/PyMVPA, mvpa2/data: 1,452 volumes, 530 voxels, 8 categories, 12 runs.
"""

import numpy as np
import pytest
from rsatoolbox.data.dataset import load_dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr

from workflow.lib.patterns.preparation import noise_residuals, run_means
from workflow.lib.patterns.rdms import brain_rdms, extract_patterns
from workflow.lib.patterns.reading import pattern_conditions
from workflow.lib.patterns.store import PatternStore, write_patterns
from workflow.lib.rdms.distances import pattern_distances

pytestmark = pytest.mark.realdata

CATEGORIES = ["scissors", "face", "cat", "shoe", "house", "scrambledpix", "bottle", "chair"]
SOURCE = {
    "data": "patterns",
    "files": "bold.nii.gz",
    "key": None,
    "subjects": {"names": ["1"], "from": "constant"},
    "rois": {"names": {"VT": "mask.nii.gz"}, "from": "mask"},
    "observations": {
        "file": "attributes_literal.txt",
        "condition": 0,
        "run": 1,
        "drop": ["rest"],
    },
    "conditions": {"from": "stored", "key": None},
}
STEPS = {"detrend": True, "standardise": "run", "remove_mean_pattern": True}


@pytest.fixture(scope="module")
def folder(mirror):
    found = mirror / "haxby_slice"
    if not found.is_dir():
        pytest.skip(f"no folder haxby_slice among the real raw files at {mirror}")
    return found


@pytest.fixture(scope="module")
def patterns(folder):
    return extract_patterns(SOURCE, folder, "1", match="exact", **STEPS)


@pytest.fixture(scope="module")
def means(patterns):
    """Condition patterns per run, (12, 8, 530)."""
    values, counts = run_means(patterns["VT"], CATEGORIES)
    assert np.unique(counts).tolist() == [9]
    return values


def test_the_design_is_the_published_one(folder, patterns):
    assert pattern_conditions(SOURCE, folder, "1") == CATEGORIES
    assert patterns["VT"].measurements.shape == (12 * 8 * 9, 530)
    assert patterns["VT"].runs[:: 8 * 9] == [str(run) for run in range(12)]


def test_odd_and_even_runs_have_similar_rdms(means):
    """0.58 in an independent computation with nibabel, scipy.signal.detrend and numpy.

    Nothing is random, but rounding can swap neighbours among the 28 ranks: one swap moves the
    coefficient by at most 6 * 2 * 27 / (28**3 - 28) = 0.015.
    """
    odd, even = (pattern_distances(means[some::2].mean(axis=0), "correlation") for some in (1, 0))
    assert spearmanr(odd, even).statistic == pytest.approx(0.581, abs=0.015)


def test_categories_of_a_run_are_recognised_from_the_others(means):
    """65 of 96 patterns correlate most with their own category, 0.677; one more or less passes.

    Chance is 12 of 96; 3 standard deviations above it are 22.
    """
    hits = 0
    for run in range(12):
        others = np.delete(means, run, axis=0).mean(axis=0)
        similarity = np.corrcoef(means[run], others)[:8, 8:]
        hits += (similarity.argmax(axis=1) == np.arange(8)).sum()
    assert hits == pytest.approx(65, abs=1)


@pytest.mark.parametrize(
    ("noise_normalisation", "theirs"),
    [("none", None), ("diagonal", "diag"), ("shrinkage", "shrinkage_diag")],
)
def test_crossnobis_equals_that_of_rsatoolbox(tmp_path, patterns, noise_normalisation, theirs):
    write_patterns(tmp_path / "brain_1.h5", patterns)
    store = PatternStore(tmp_path / "brain_1.h5")
    ((_, found),) = brain_rdms(
        store,
        sorted(CATEGORIES),
        metric="crossnobis",
        noise_normalisation=noise_normalisation,
        match="exact",
    )
    dataset = load_dataset(str(tmp_path / "brain_1.h5"))
    dataset.measurements = dataset.measurements.astype(np.float64)
    residuals, dof = noise_residuals(store.patterns("VT"))
    assert dof == 12 * 8 * 8
    noise = theirs and prec_from_residuals(residuals, dof=dof, method=theirs)
    expected = calc_rdm(dataset, "crossnobis", "condition", noise=noise, cv_descriptor="run")
    np.testing.assert_allclose(found, expected.dissimilarities[0], rtol=0, atol=1e-10)


def test_faces_and_houses_lie_furthest_from_small_objects(means):
    """The categorical structure that the data set is known for (Haxby et al. 2001, figure 3)."""
    rdm = squareform(pattern_distances(means.mean(axis=0), "correlation"))
    place = {name: CATEGORIES.index(name) for name in CATEGORIES}
    small = [place[name] for name in ("bottle", "scissors", "shoe", "chair")]
    within = rdm[np.ix_(small, small)][np.triu_indices(4, 1)].mean()
    assert rdm[place["face"], place["house"]] > within
    assert rdm[place["face"], place["cat"]] < rdm[place["face"], place["house"]]
    assert rdm[place["face"], small].mean() > within
    assert rdm[place["house"], small].mean() > within
