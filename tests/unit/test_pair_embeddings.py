"""Embeddings of images: components found on training images alone, distances, files."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from scripts.dissimilarity.embeddings import embeddings as module
from scripts.dissimilarity.embeddings.embeddings import (
    Embedding,
    embedding_from_blocks,
    read_embedding,
    write_embedding,
)
from scripts.dissimilarity.embeddings.joined import Joined
from workflow.lib.errors import InputError

N_IMAGES = 30
# As many components as there are.
MANY = 1000


def names(n=N_IMAGES):
    return [f"image {i}" for i in range(n)]


def features(n_features, seed=0, n=N_IMAGES):
    """Return features of which some vary a hundred times as much as others, as in networks."""
    rng = np.random.default_rng(seed)
    spread = np.geomspace(10, 0.1, n_features)
    return (rng.normal(size=(n, n_features)) * spread + rng.normal(size=n_features)).astype("f4")


def kept(values):
    return Embedding("features", names(len(values)), features=values)


def products(values, width=7):
    """Return the embedding of which products alone are kept, made from blocks of features."""
    blocks = [values[:, start : start + width] for start in range(0, values.shape[1], width)]
    return embedding_from_blocks(
        "products", names(len(values)), blocks, n_features=values.shape[1], most_features=0
    )


def whitened(values, train, k):
    """Return the scores of scikit-learn, with the largest of each over training images positive."""
    values = values.astype(np.float64)
    scores = PCA(k, whiten=True, svd_solver="full").fit(values[train]).transform(values)
    largest = np.abs(scores[train]).argmax(axis=0)
    return scores * np.sign(scores[train[largest], np.arange(k)])


@pytest.mark.parametrize("form", [kept, products])
@pytest.mark.parametrize("n_features", [5, 200], ids=["narrow", "wide"])
def test_scores_are_those_of_scikit_learn(form, n_features):
    values, train = features(n_features), np.array([3, 1, *range(8, 25)])
    k = min(n_features, len(train) - 1)
    scores = form(values).scores(train, MANY)
    assert scores.shape == (N_IMAGES, k)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, whitened(values, train, k), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n_features", [5, 200], ids=["narrow", "wide"])
def test_products_give_the_scores_of_features(n_features):
    values, train = features(n_features, seed=4), np.arange(20)
    np.testing.assert_allclose(
        products(values).scores(train, MANY), kept(values).scores(train, MANY), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("form", [kept, products])
def test_fewer_components_are_the_first_ones(form):
    values, train = features(40), np.arange(20)
    embedding = form(values)
    np.testing.assert_allclose(
        embedding.scores(train, 3), embedding.scores(train, MANY)[:, :3], rtol=1e-5, atol=1e-5
    )
    assert embedding.scores(train, 100).shape[1] == 19


@pytest.mark.parametrize("form", [kept, products])
@pytest.mark.parametrize("n_features", [5, 200], ids=["narrow", "wide"])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_no_test_image_has_a_say_in_the_scores_of_training_images(form, n_features, seed):
    rng = np.random.default_rng(seed)
    values, train = features(n_features), rng.permutation(N_IMAGES)[:18]
    others = np.setdiff1d(np.arange(N_IMAGES), train)
    changed = values.copy()
    changed[others] = rng.normal(scale=1e3, size=(len(others), n_features))
    before, after = form(values).scores(train, MANY), form(changed).scores(train, MANY)
    assert np.array_equal(before[train], after[train])
    assert not np.allclose(before[others], after[others])


def test_features_as_they_are_keep_what_images_have_in_common_and_all_components_do_not():
    """Of all components training images are the corners of a simplex: no two more alike."""
    values, train = features(200), np.arange(20)
    embedding = kept(values)
    assert np.array_equal(embedding.as_they_are(), values)
    every = pdist(embedding.scores(train, MANY)[train].astype("f8"))
    np.testing.assert_allclose(every, np.sqrt(2 * 19), rtol=1e-5)
    seen = pdist(embedding.as_they_are().astype("f8"))
    np.testing.assert_allclose(seen, embedding.distances("euclidean"), rtol=1e-5)
    assert seen.max() > 1.2 * seen.min()


def test_features_that_are_not_kept_are_not_seen_as_they_are():
    with pytest.raises(InputError, match=r"embedding products: found products .* `n_components`"):
        products(features(200)).as_they_are()
    parts = [kept(features(5)), kept(features(3))]
    assert np.array_equal(
        Joined("both", parts).as_they_are(), np.hstack([features(5), features(3)])
    )
    with pytest.raises(InputError, match="`n_components`"):
        Joined("both", [*parts, products(features(5))]).as_they_are()


@pytest.mark.parametrize("form", [kept, products])
def test_features_that_do_not_vary_add_no_component(form):
    values = np.concatenate([features(3), np.full((N_IMAGES, 40), 7.3, np.float32)], axis=1)
    assert form(values).scores(np.arange(20), MANY).shape[1] == 3


@pytest.mark.parametrize("form", [kept, products])
@pytest.mark.parametrize("metric", ["correlation", "euclidean", "cosine"])
def test_distances_are_those_of_scipy(form, metric):
    values = features(200) + 3
    np.testing.assert_allclose(
        form(values).distances(metric), pdist(values.astype("f8"), metric), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("form", [kept, products])
def test_an_image_without_an_angle_is_named(form):
    values = features(50)
    values[4] = 0.7
    with pytest.raises(InputError, match=r"correlation: found 1 image.*'image 4'"):
        form(values).distances("correlation")
    assert np.isfinite(form(values).distances("cosine")).all()


def test_unknown_distance_is_refused():
    with pytest.raises(InputError, match=r"manhattan.*expected one of correlation"):
        kept(features(4)).distances("manhattan")


@pytest.mark.parametrize("form", [kept, products])
def test_too_little_to_find_components_in_is_said(form):
    constant = np.tile(features(6)[0], (N_IMAGES, 1))
    with pytest.raises(InputError, match="the same features for all 10 training images"):
        form(constant).scores(np.arange(10), MANY)
    with pytest.raises(InputError, match=r"found 1 training image\(s\), expected at least two"):
        form(features(6)).scores(np.array([2]), MANY)


@pytest.mark.parametrize("n_features", [module.MOST_FEATURES, module.MOST_FEATURES + 1])
def test_wide_embeddings_keep_products_in_place_of_features(n_features):
    values = features(n_features, n=5)
    blocks = np.array_split(values, 3, axis=1)
    found = embedding_from_blocks("wide", names(5), blocks, n_features=n_features)
    assert (found.features is None) == (n_features > module.MOST_FEATURES)
    if found.features is None:
        exact = values.astype(np.float64) @ values.astype(np.float64).T
        np.testing.assert_allclose(found.gram, exact, rtol=1e-12)
    else:
        assert np.array_equal(found.features, values)


@pytest.mark.parametrize("form", [kept, products])
def test_files_give_back_what_was_written(form, tmp_path):
    written = form(features(9))
    path = tmp_path / "embedding.h5"
    write_embedding(path, written)
    found = read_embedding(path)
    assert (found.name, found.names) == (written.name, written.names)
    for key in ("features", "gram", "along_constant"):
        value = getattr(written, key)
        if value is None:
            assert getattr(found, key) is None
        else:
            assert np.array_equal(getattr(found, key), value)
    with h5py.File(path) as file:
        assert ("gram" in file) == (form is products)


# Joined.


def test_joined_embeddings_keep_the_components_of_each():
    """A part of tiny variance is as large beside another as by itself."""
    rng = np.random.default_rng(3)
    names = [f"image{i}" for i in range(30)]
    large = Embedding("large", names, features=1e3 * rng.standard_normal((30, 8)))
    small = Embedding("small", names, features=1e-3 * rng.standard_normal((30, 5)))
    train = np.arange(20)
    found = Joined("both", [large, small]).scores(train, 4)
    assert np.array_equal(found, np.hstack([large.scores(train, 4), small.scores(train, 4)]))
    distances = Joined("both", [large, small]).distances("euclidean", train)
    expected = np.mean(
        [
            pdist(part.features) / pdist(part.features[train]).mean(dtype=np.float64)
            for part in (large, small)
        ],
        axis=0,
    )
    np.testing.assert_allclose(distances, expected, rtol=1e-6)
