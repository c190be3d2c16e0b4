"""RDMs of layers against a pass through the network by hand, scikit-learn's PCA and scipy."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from scripts.digits.codes.codes import kinds_of
from scripts.digits.codes.compute_layer_rdms import check_categories, layer_rdms
from scripts.digits.data.labelled_images import ImageSet
from scripts.digits.network.layer_features import LayerOutputs, layer_features
from scripts.digits.network.trained import Trained, as_tensor, scaling_of
from scripts.digits.network.vgg import ANALYSED_LAYERS, build_vgg
from workflow.lib.errors import InputError

KINDS = {"digit": ["zero", "one"], "object": ["bed", "cat"]}
CATEGORIES = list(kinds_of(KINDS))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(3)
    means = rng.integers(40, 200, (4, 32, 32, 3))
    noise = rng.integers(-40, 40, (24, 32, 32, 3))
    pictures = np.uint8(means[np.repeat(np.arange(4), 6)] + noise)
    return ImageSet(pictures, np.repeat(CATEGORIES, 6))


@pytest.fixture(scope="module")
def trained(images):
    network = build_vgg("vgg_small", 4, seed=2).eval()
    return Trained(network, CATEGORIES, scaling_of(images.images))


@pytest.fixture(scope="module")
def by_hand(trained, images):
    """Outputs of all modules of the network, called one after another."""
    values, outputs = trained.scaling(as_tensor(images.images)), {}
    with torch.no_grad():
        for name, module in trained.network.layers.named_children():
            values = outputs[name] = module(values)
    names = [f"relu{layer.removeprefix('conv').removeprefix('fc')}" for layer in ANALYSED_LAYERS]
    return dict(zip(ANALYSED_LAYERS, (outputs[name] for name in [*names[:-1], "fc8"]), strict=True))


def test_every_layer_is_the_one_it_is_called(trained, images, by_hand):
    """torchvision's graph takes relu1_2 for relu1_1."""
    with torch.no_grad():
        found = LayerOutputs(trained.network)(trained.scaling(as_tensor(images.images)))
    assert list(found) == list(ANALYSED_LAYERS)
    for layer, expected in by_hand.items():
        assert torch.equal(found[layer], expected), layer
    assert not torch.equal(found["conv1_1"], found["conv1_2"])


def test_features_are_all_units_of_all_images(trained, images, by_hand, tmp_path):
    layers = layer_features(trained, images, device=CPU, folder=tmp_path)
    for layer, blocks in layers.items():
        with blocks:
            found = np.concatenate(list(blocks), axis=1)
        np.testing.assert_allclose(found, by_hand[layer].flatten(1).numpy(), atol=1e-5)


def test_rdms_equal_scikit_learn_and_scipy(trained, images, by_hand):
    codes = np.repeat(np.arange(4), 6)
    rdms = layer_rdms(trained, images, variance=0.9, metric="cosine", device=CPU)
    for (labels, found), layer in zip(rdms, ANALYSED_LAYERS, strict=True):
        assert labels == {"layer": layer}
        features = by_hand[layer].flatten(1).double().numpy()
        scaled = StandardScaler().fit_transform(features[:, features.std(axis=0) > 1e-6])
        scores = PCA(0.9, svd_solver="full").fit_transform(scaled)
        means = np.stack([scores[codes == code].mean(axis=0) for code in range(4)])
        np.testing.assert_allclose(found, pdist(means, "cosine"), atol=1e-4, err_msg=layer)


def test_order_of_the_images_does_not_matter(trained, images):
    order = np.random.default_rng(5).permutation(len(images))
    shuffled = ImageSet(images.images[order], images.labels[order])
    settings = {"variance": 0.9, "metric": "cosine", "device": CPU}
    for (_, one), (_, other) in zip(
        layer_rdms(trained, images, **settings),
        layer_rdms(trained, shuffled, **settings),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_refuses_categories_without_images(trained, images):
    few = ImageSet(images.images[:18], images.labels[:18])
    with pytest.raises(InputError, match=r"stimuli\.npz: found no image of cat"):
        check_categories(few, trained, CATEGORIES, "stimuli.npz")


def test_refuses_a_network_of_other_categories(trained, images):
    with pytest.raises(InputError, match=r"network of 4 categories .* expected 3"):
        check_categories(images, trained, CATEGORIES[:3], "stimuli.npz")
