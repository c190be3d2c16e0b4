"""Maps of layers in a plane: scikit-learn, brute force, planted clusters and noise."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from scripts.digits.data.labelled_images import ImageSet
from scripts.digits.data.simulate_digit_images import simulate_images
from scripts.digits.network.extract_layer_grams import extract_layer_grams, items_of, pixel_gram
from scripts.digits.network.trained import Scaling, Trained, as_tensor
from scripts.digits.network.vgg import ANALYSED_LAYERS, build_vgg, node_of
from scripts.embed.embed_layers import embed_layers, groups_of
from scripts.figures.plot_embedding import plot_embedding
from workflow.lib.embedding import (
    expected_share,
    kept_neighbours,
    same_group_share,
    tsne,
)
from workflow.lib.errors import InputError
from workflow.lib.rdms.components import principal_scores
from workflow.lib.rdms.gram_store import GramStore, gram_writer

N_GROUPS, N_EACH = 6, 25
GROUPS = np.repeat([f"group {i}" for i in range(N_GROUPS)], N_EACH)
N = len(GROUPS)


def centred_gram(points):
    centred = points - points.mean(axis=0)
    return centred @ centred.T


def clustered(distance, seed=0):
    """Return points in 20 dimensions, groups about so many standard deviations apart."""
    rng = np.random.default_rng(seed)
    middles = distance / np.sqrt(2) * np.eye(N_GROUPS, 20)
    return np.repeat(middles, N_EACH, axis=0) + rng.standard_normal((N, 20))


def run(grams, path, seed=1, **options):
    names = [f"item {i}" for i in range(N)]
    with gram_writer(path, names=names, model="test") as write:
        for layer, gram in grams.items():
            write({"layer": layer}, gram)
    return embed_layers(
        GramStore(path),
        GROUPS,
        method="tsne",
        n_components=10,
        options={"perplexity": 20, "n_iterations": 500} | options,
        seed=seed,
    )


def test_scores_are_those_of_scikit_learn():
    points = np.random.default_rng(0).normal(0, [5, 4, 3, 2, 1], (30, 5))
    found = principal_scores(centred_gram(points), n_components=3)
    expected = PCA(3).fit_transform(points)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-8)
    assert (found.max(axis=0) == np.abs(found).max(axis=0)).all()


def test_of_fewer_points_than_components_all_scores_are_given():
    points = np.random.default_rng(0).standard_normal((7, 20))
    scores = principal_scores(centred_gram(points), n_components=50)
    assert scores.shape == (7, 7)
    np.testing.assert_allclose(scores @ scores.T, centred_gram(points), atol=1e-8)


def test_planted_clusters_stay_apart_and_noise_makes_none(tmp_path):
    grams = {"planted": centred_gram(clustered(12)), "noise": centred_gram(clustered(0))}
    places, quality = run(grams, tmp_path / "grams.h5")
    planes = {layer: part[["x", "y"]].to_numpy() for layer, part in places.groupby("layer")}
    assert silhouette_score(planes["planted"], GROUPS) > 0.6
    assert silhouette_score(planes["noise"], GROUPS) < 0.05
    of_layer = quality.set_index("layer")
    assert of_layer.loc["planted", ["same_group", "same_group_plane"]].min() > 0.99
    chance = 24 / 149
    assert of_layer["same_group_chance"].tolist() == pytest.approx([chance, chance])
    assert of_layer.loc["noise", "same_group_plane"] == pytest.approx(chance, abs=0.06)
    assert list(places["group"][:N]) == GROUPS.tolist()


def test_maps_are_the_same_for_any_number_of_threads_and_any_seed(tmp_path, monkeypatch):
    grams = {str(i): centred_gram(clustered(3, seed=i)) for i in range(3)}
    found = []
    for n_threads, seed in ((1, 1), (3, 1), (1, 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", str(n_threads))
        found.append(run(grams, tmp_path / "grams.h5", seed=seed)[0])
    pd.testing.assert_frame_equal(found[0], found[1], check_exact=True)
    pd.testing.assert_frame_equal(found[0], found[2], check_exact=True)


def test_neighbours_of_the_same_group_by_brute_force():
    points = clustered(3)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :10]
    expected = np.mean([[GROUPS[i] == GROUPS[j] for j in nearest[i]] for i in range(N)])
    assert same_group_share(points, GROUPS) == pytest.approx(expected)


def test_expected_share_is_the_mean_over_shuffled_groups():
    groups = np.array(["a"] * 4 + ["b"] * 9 + ["c"] * 27)
    points = np.random.default_rng(0).standard_normal((40, 2))
    rng = np.random.default_rng(1)
    shuffled = [same_group_share(points, rng.permutation(groups)) for _ in range(300)]
    assert expected_share(groups) == pytest.approx(np.mean(shuffled), abs=0.01)


def test_a_plane_keeps_its_own_neighbours():
    plane = np.random.default_rng(0).standard_normal((60, 2))
    assert kept_neighbours(plane, 3 * plane) == 1
    others = np.random.default_rng(1).standard_normal((60, 2))
    assert kept_neighbours(plane, others) < 0.65


# Layers of a network.


@pytest.fixture(scope="module")
def images():
    return simulate_images(["zero", "one", "cat"], {"part": 6}, side=32, seed=1, name="t")["part"]


def test_grams_are_products_of_centred_activations(images, tmp_path):
    network = build_vgg("vgg_small", 3, seed=1).eval()
    trained = Trained(network, ["zero", "one", "cat"], Scaling((0.3,) * 3, (0.2,) * 3))
    items = items_of(images, trained.categories)
    with gram_writer(tmp_path / "grams.h5", names=list(items["name"]), model="vgg") as write:
        extract_layer_grams(trained, images, write, device=torch.device("cpu"))
    grams = GramStore(tmp_path / "grams.h5")
    assert [labels["layer"] for labels in grams.labels] == ["pixels", *ANALYSED_LAYERS]
    seen = {}
    for layer in ANALYSED_LAYERS:
        network.get_submodule(node_of(layer)).register_forward_hook(
            lambda module, _, output, layer=layer: seen.update({layer: output.flatten(1)})
        )
    with torch.inference_mode():
        network(trained.scaling(as_tensor(images.images)))
    for number, layer in enumerate(["pixels", *ANALYSED_LAYERS]):
        points = (
            images.images.reshape(len(images), -1) / 255
            if layer == "pixels"
            else seen[layer].numpy().astype(np.float64)
        )
        expected = centred_gram(points)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(grams.gram(number) / scale, expected / scale, atol=2e-6)


def test_pixels_of_equal_images_have_no_products():
    same = ImageSet(np.full((3, 32, 32, 3), 77, np.uint8), np.array(["zero"] * 3))
    np.testing.assert_allclose(pixel_gram(same), 0, atol=1e-6)


def test_items_have_names_of_their_own(images):
    items = items_of(images, ["zero", "one", "cat"])
    assert items["name"].is_unique
    assert items["name"].tolist()[5:8] == ["zero 6", "one 1", "one 2"]
    assert items["group"].tolist() == images.labels.tolist()


# Figure.


def test_every_group_has_a_mark_of_its_own(tmp_path):
    groups = [f"category {i}" for i in range(16)]
    places = pd.DataFrame(
        [
            {"layer": layer, "name": f"{group} 1", "group": group, "x": i, "y": -i}
            for layer in ("pixels", "conv1_1", "fc8")
            for i, group in enumerate(groups)
        ]
    )
    quality = pd.DataFrame({"layer": ["pixels", "conv1_1", "fc8"], "n_items": 16})
    quality = quality.assign(n_neighbours=7, same_group=0.5, same_group_chance=0.0625)
    quality = quality.assign(trustworthiness=[0.9, 0.95, 0.99])
    figure, caption = plot_embedding(
        places, quality, method="tsne", options={"perplexity": 5}, title="T", simulated=True
    )
    assert len(figure.axes) == 3
    marks = {
        (tuple(dots.get_facecolor()[0]), dots.get_paths()[0].vertices.tobytes())
        for dots in figure.axes[0].collections
    }
    assert len(marks) == 16
    assert "n = 16 validation images" in caption
    assert "(any neighbours: 6 %)" in caption
    assert "0.90 to 0.99" in caption


# Bad input.


def test_more_neighbours_than_points():
    with pytest.raises(InputError, match="perplexity: found 30 for 12 points, expected less"):
        tsne(np.eye(12), seed=1, perplexity=30)


def test_points_that_are_all_the_same():
    with pytest.raises(InputError, match="found 40 points that are all the same"):
        tsne(np.zeros((40, 3)), seed=1)


def test_the_layer_is_named(tmp_path):
    with pytest.raises(InputError, match="layer dead: embedding: found 150 points that are all"):
        run({"dead": np.zeros((N, N))}, tmp_path / "grams.h5")


def test_a_name_without_an_item():
    items = pd.DataFrame({"name": ["a"], "group": ["x"]})
    with pytest.raises(InputError, match=r"items.csv: found no row for 'b' and 1 more"):
        groups_of(["a", "b", "c"], items, "items.csv")


def test_no_images():
    none = ImageSet(np.zeros((0, 32, 32, 3), np.uint8), np.zeros(0, "U1"))
    with pytest.raises(InputError, match="images: found none"):
        items_of(none, ["zero"])
