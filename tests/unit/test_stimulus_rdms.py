"""RDMs over all stimuli, and the part of them that a study compares, against scipy."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from scripts.features.select_images import common_rdms
from workflow.lib.errors import InputError
from workflow.lib.rdms.gram_store import GramStore, gram_writer, standardised_gram
from workflow.lib.rdms.stimulus_rdms import feature_distances
from workflow.lib.rdms.store import RDMStore, write_rdms

N_STIMULI, N_FEATURES = 14, 40
NAMES = [f"images/b{i:02d}.png" for i in range(N_STIMULI)]
COMMON = [11, 3, 12, 0, 6]
SCIPY_NAMES = {"sq_euclidean": "sqeuclidean"}


@pytest.fixture
def features():
    return np.random.default_rng(3).gamma(2, size=(N_STIMULI, N_FEATURES)).astype(np.float32)


def written(path, features, metric):
    """Write the RDM over all stimuli as the rules do, and return the file."""
    write_rdms(
        path,
        [({"layer": "only"}, feature_distances(features, metric))],
        names=NAMES,
        measure=metric,
        descriptors={"study": "test", "model": "pixel"},
        may_have_gaps=True,
    )
    return RDMStore(path)


@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean", "sq_euclidean"])
def test_common_images_have_the_distances_that_they_have_alone(tmp_path, features, metric):
    store = written(tmp_path / "model.h5", features, metric)
    images = [f"b{i:02d}" for i in COMMON]
    ((labels, found),) = common_rdms(store, images, match="normalised")
    assert labels == {"layer": "only"}
    expected = pdist(features[COMMON].astype(np.float64), SCIPY_NAMES.get(metric, metric))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("metric", "spoiled", "value"),
    [("correlation", 5, 0.1), ("correlation", 5, 0), ("cosine", 5, 0)],
)
def test_a_stimulus_without_a_pattern_matters_where_it_is_compared(
    tmp_path, features, metric, spoiled, value
):
    features[spoiled] = value
    store = written(tmp_path / "model.h5", features, metric)
    ((_, found),) = common_rdms(store, [NAMES[i] for i in COMMON], match="exact")
    np.testing.assert_allclose(found, pdist(features[COMMON].astype(float), metric), rtol=1e-5)
    sentence = r"pixel, only: found 1 image\(s\) whose pattern .* 'images/b05.png'"
    with pytest.raises(InputError, match=sentence):
        list(common_rdms(store, [NAMES[i] for i in [*COMMON, spoiled]], match="exact"))


def test_euclidean_distances_need_no_variation(features):
    features[2] = 0
    expected = pdist(features.astype(np.float64))
    np.testing.assert_allclose(feature_distances(features, "euclidean"), expected, rtol=1e-9)


def test_an_image_that_no_stimulus_is_stops(tmp_path, features):
    store = written(tmp_path / "model.h5", features, "correlation")
    with pytest.raises(InputError, match=r"model.h5: found no image 'b99'"):
        list(common_rdms(store, ["b00", "b99"], match="normalised"))


def test_gram_matrix_of_common_images_holds_their_products(tmp_path, features):
    features[:, 7] = 3.0
    with gram_writer(tmp_path / "grams.h5", names=NAMES, model="pixel") as write:
        write({"layer": "only"}, standardised_gram(features))
    store = GramStore(tmp_path / "grams.h5", [f"b{i:02d}" for i in COMMON], "normalised")
    varying = np.delete(features, 7, axis=1).astype(np.float64)
    scores = ((varying - varying.mean(axis=0)) / varying.std(axis=0))[COMMON]
    np.testing.assert_allclose(store.gram(0), scores @ scores.T, rtol=1e-9, atol=1e-9)
    assert store.names == [f"b{i:02d}" for i in COMMON]
