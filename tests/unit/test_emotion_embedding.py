"""UMAP against its package, planted clusters and noise; what is mapped of a study of emotions."""

import warnings

import numpy as np
import pandas as pd
import pytest
import umap as package
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from scripts.emotions.figures.plot_emotion_embedding import METHOD_NAMES, plot_emotion_embedding
from scripts.emotions.maps.embed_emotions import (
    METHODS,
    Options,
    Points,
    embed_emotions,
    network_points,
    voxel_points,
)
from scripts.emotions.network.network_features import Features
from tests.planted_movie import CLASSES, movie_labels
from workflow.lib import umap_embedding
from workflow.lib.errors import InputError
from workflow.lib.umap_embedding import umap

N_EACH = 40
GROUPS = np.repeat(CLASSES, N_EACH)


def clustered(distance, seed=0):
    rng = np.random.default_rng(seed)
    middles = distance / np.sqrt(2) * np.eye(3, 8)
    return np.repeat(middles, N_EACH, axis=0) + rng.standard_normal((3 * N_EACH, 8))


def test_planted_clusters_stay_apart_and_noise_makes_none():
    assert silhouette_score(umap(clustered(12), seed=1, n_neighbours=15), GROUPS) > 0.7
    assert silhouette_score(umap(clustered(0), seed=1, n_neighbours=15), GROUPS) < 0.05


def test_a_seed_gives_one_map():
    first, again = (umap(clustered(3), seed=4, n_neighbours=15) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, umap(clustered(3), seed=5, n_neighbours=15))


def test_the_graph_is_that_of_the_package(monkeypatch):
    """The package searches neighbours by itself; the map is drawn from the same graph."""
    made = []
    monkeypatch.setattr(
        umap_embedding, "UMAP", lambda **options: made.append(package.UMAP(**options)) or made[0]
    )
    points = clustered(3).astype(np.float32)
    places = umap(points, seed=1, n_neighbours=12, min_distance=0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = package.UMAP(n_neighbors=12, min_dist=0.25, random_state=1, n_jobs=1).fit(points)
    np.testing.assert_allclose(made[0].graph_.toarray(), expected.graph_.toarray(), atol=1e-4)
    assert (made[0]._a, made[0]._b) == (expected._a, expected._b)
    assert places.shape == (3 * N_EACH, 2)


def test_fewer_points_than_neighbours():
    with pytest.raises(InputError, match=r"n_neighbours: found 30 for 12 points, expected no more"):
        umap(np.eye(12), seed=1)


def test_points_that_are_all_the_same():
    with pytest.raises(InputError, match="found 40 points that are all the same"):
        umap(np.zeros((40, 3)), seed=1)


# What is mapped.


def test_every_method_maps_every_kind_of_points():
    points = {
        "clusters": Points(clustered(12), GROUPS, "points"),
        "few": Points(clustered(12)[::6], GROUPS[::6], "points"),
    }
    places, quality = embed_emotions(points, options=Options(), study="test", seed=1)
    assert len(quality) == 2 * len(METHODS)
    of = quality.set_index(["embedding", "method"])
    assert (of.loc["clusters", "same_group"] > 0.99).all()
    assert of.loc[("clusters", "umap"), "same_group_plane"] > 0.95
    assert of.loc[("few", "umap"), "parameters"] == "neighbours 6, minimal distance 0.1"
    assert of.loc[("few", "tsne"), "parameters"] == "perplexity 6"
    plane = places.query("embedding == 'clusters' and method == 'pca'")[["x", "y"]].to_numpy()
    expected = PCA(2).fit_transform(clustered(12))
    np.testing.assert_allclose(np.abs(plane), np.abs(expected), atol=1e-8)


@pytest.mark.parametrize("n", [6, 7, 11])
def test_few_points_have_maps(n):
    points = {"few": Points(clustered(3)[:n], np.resize(CLASSES, n), "points")}
    places, _ = embed_emotions(points, options=Options(), study="test", seed=1)
    assert np.isfinite(places[["x", "y"]]).all(axis=None)
    assert len(places) == n * len(METHODS)
    with pytest.raises(InputError, match="embedding of few: found 5 points, expected 6 or more"):
        embed_emotions(
            {"few": Points(clustered(3)[:5], np.resize(CLASSES, 5), "points")},
            options=Options(),
            study="test",
            seed=1,
        )


def test_features_are_those_of_one_fold():
    labels = movie_labels()
    rows = np.flatnonzero(labels.labelled)[:12]
    folds = np.array([0] * 5 + [1] * 7)
    values = np.arange(24.0).reshape(12, 2)
    found = network_points(Features(values, np.zeros(12, int), rows, folds), labels, "block1")
    np.testing.assert_array_equal(found.values, values[5:])
    assert found.groups.tolist() == labels.table["label"].to_numpy()[rows[5:]].tolist()


def test_voxels_are_mapped_by_their_places():
    top = pd.DataFrame({"emotion": ["FEAR", "LOVE"], "x": [1.0, 2], "y": [3.0, 4], "z": [5.0, 6]})
    found = voxel_points(top)
    assert found.values.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert found.groups.tolist() == ["FEAR", "LOVE"]


# Figure.


def test_a_panel_per_method_and_kind_and_a_caption_with_all_numbers():
    points = {name: Points(clustered(5), GROUPS, "things") for name in ("voxels", "network")}
    places, quality = embed_emotions(points, options=Options(), study="test", seed=1)
    figure, caption = plot_emotion_embedding(places, quality, title="T", simulated=True)
    assert len(figure.axes) == 2 * len(METHOD_NAMES)
    dots = sum(len(one.get_offsets()) for one in figure.axes[0].collections)
    assert dots == len(GROUPS)
    assert "voxels (n = 120 things, 8 dimensions; UMAP: neighbours 30" in caption
    assert "t-SNE: perplexity 30" in caption
    assert "distances between clusters" in caption
    shown = figure.axes[0].get_title()
    kept = quality.query("embedding == 'voxels' and method == 'umap'")["trustworthiness"].iloc[0]
    assert f"{kept:.2f}" in shown
