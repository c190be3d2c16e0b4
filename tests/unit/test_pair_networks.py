"""Networks of pairs: sizes as published, what depends on the order, what a head can see at all."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import correlate
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr

from scripts.dissimilarity.learning.pair_networks import (
    BOTH_ORDERS,
    PUBLISHED,
    SYMMETRIC,
    Encoder,
    PairMLP,
    Siamese,
    example_networks,
    n_parameters,
)
from scripts.dissimilarity.learning.pair_training import pair_loss
from scripts.dissimilarity.models.contrastive import Neighbours, info_nce
from scripts.dissimilarity.models.siamese import prepared
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import PairSet

SIDE, N_FEATURES, N = 16, 6, 5
SMALL = {
    "siamese published": lambda: Siamese(SIDE, widths=(4, 6), form=PUBLISHED),
    "siamese sigmoid2": lambda: Siamese(SIDE, widths=(4, 6), form=BOTH_ORDERS, head="sigmoid2"),
    "siamese symmetric": lambda: Siamese(SIDE, widths=(4, 6), n_codes=7, form=SYMMETRIC),
    "siamese symmetric sigmoid2": lambda: Siamese(
        SIDE, widths=(4, 6), n_codes=7, form=SYMMETRIC, head="sigmoid2"
    ),
    "siamese symmetric grid": lambda: Siamese(
        SIDE, widths=(4, 6), n_codes=7, grid=2, dropout=0.3, form=SYMMETRIC
    ),
    "MLP published": lambda: PairMLP(N_FEATURES, n_hidden=2, width=32, form=PUBLISHED),
    "MLP symmetric": lambda: PairMLP(N_FEATURES, n_hidden=2, width=32, form=SYMMETRIC),
    "contrastive": lambda: Encoder(N_FEATURES, n_codes=4, width=8),
}


def network_and_inputs(name):
    torch.manual_seed(0)
    network = SMALL[name]().eval()
    shape = (1, SIDE, SIDE) if name.startswith("siamese") else (N_FEATURES,)
    scale = 255 if name.startswith("siamese") else 1
    return network, *(torch.rand(4, N, *shape) * scale)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Two branches of 3x3 convolutions; 128 pixels leave 30 x 30 maps.
        ("siamese, linear", 2 * (9 * 32 + 32 + 9 * 32 * 64 + 64) + 2 * 30 * 30 * 64 + 1),
        ("siamese, 2 sigmoid", 2 * (9 * 32 + 32 + 9 * 32 * 64 + 64) + 2 * 30 * 30 * 64 + 1),
        ("MLP, 0 hidden layers", 1025 * 512 + 513),
        ("MLP, 1 hidden layer", 1025 * 512 + 513 * 256 + 257),
        ("MLP, 2 hidden layers", 1025 * 512 + 513 * 256 + 257 * 128 + 129),
        ("MLP, 3 hidden layers", 1025 * 512 + 513 * 256 + 257 * 128 + 129 * 64 + 65),
    ],
)
def test_published_sizes(name, expected):
    assert n_parameters(example_networks()[name][0]) == expected


@pytest.mark.parametrize("name", example_networks())
def test_published_sizes_take_a_step(name):
    network, inputs = example_networks()[name]
    torch.manual_seed(0)
    first, second = (torch.rand_like(value) * 255 for value in inputs)
    before = [parameter.clone() for parameter in network.parameters()]
    found = network(first, second)
    assert found.shape == (2,)
    found.square().sum().backward()
    torch.optim.Adam(network.parameters()).step()
    changed = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert all(changed)


@pytest.mark.parametrize("name", SMALL)
def test_encoding_and_comparing_is_the_network(name):
    network, first, second, *_ = network_and_inputs(name)
    compared = network.compare(network.encode(first, 0), network.encode(second, 1))
    torch.testing.assert_close(compared, network(first, second), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_order_matters_to_concatenations_alone(name):
    network, first, second, *_ = network_and_inputs(name)
    forth, back = network(first, second), network(second, first)
    if "symmetric" in name or name == "contrastive":
        assert torch.equal(forth, back)
    else:
        assert (forth - back).abs().max() > 0.01 * forth.std()


def interaction(network, first, second, third, fourth, transform=lambda values: values):
    """Return f(a, b) - f(a, d) - f(c, b) + f(c, d), which is 0 for any f(a) + g(b)."""
    values = [transform(network(a, b).double()) for a in (first, third) for b in (second, fourth)]
    return (values[0] - values[1] - values[2] + values[3]).abs().max(), torch.stack(values).std()


def test_linear_head_on_a_concatenation_is_a_sum_of_two_functions():
    size, spread = interaction(*network_and_inputs("siamese published"))
    assert size < 1e-5 * spread
    # In other words: pairs of an image with itself are as dissimilar as pairs of two images.
    network, first, second, *_ = network_and_inputs("siamese published")
    same = network(first, first) + network(second, second)
    torch.testing.assert_close(same, network(first, second) + network(second, first))


def test_two_sigmoid_bends_the_sum_and_adds_nothing_to_it():
    network, *images = network_and_inputs("siamese sigmoid2")
    values = network(images[0], images[1])
    assert ((values > 0) & (values < 2)).all()
    size, spread = interaction(network, *images, transform=lambda v: torch.logit(v / 2))
    assert size < 1e-4 * spread
    size, spread = interaction(network, *images)
    assert size > 1e-3 * spread


@pytest.mark.parametrize("name", ["siamese symmetric", "MLP published", "MLP symmetric"])
def test_other_heads_see_both_images_at_once(name):
    size, spread = interaction(*network_and_inputs(name))
    assert size > 0.02 * spread


def pooled(maps):
    c, height, width = maps.shape
    maps = maps[:, : height // 2 * 2, : width // 2 * 2]
    return maps.reshape(c, height // 2, 2, width // 2, 2).max(axis=(2, 4))


def convolved(maps, convolution):
    kernels, biases = (value.detach().double().numpy() for value in convolution.parameters())
    return np.stack(
        [
            np.maximum(correlate(maps, kernel, mode="valid")[0] + bias, 0)
            for kernel, bias in zip(kernels, biases, strict=True)
        ]
    )


def test_siamese_is_what_scipy_computes_of_the_published_layers():
    network, first, second, *_ = network_and_inputs("siamese published")
    for module in network.modules():
        if getattr(module, "bias", None) is not None:
            torch.nn.init.normal_(module.bias)
    expected = []
    for images in zip(first.double().numpy(), second.double().numpy(), strict=True):
        flat = []
        for image, branch in zip(images, network.branches, strict=True):
            maps = pooled(convolved(image / 255, branch.convolution1))
            flat.append(pooled(convolved(maps, branch.convolution2)).ravel())
        weight, bias = (value.detach().double().numpy() for value in network.dense.parameters())
        expected.append(weight[0] @ np.concatenate(flat) + bias[0])
    np.testing.assert_allclose(network(first, second).detach(), expected, rtol=1e-4, atol=1e-5)


def test_an_untrained_linear_encoder_gives_the_cosine_distance_of_features():
    features = np.random.default_rng(0).standard_normal((9, 6)).astype(np.float32)
    first, second = np.triu_indices(9, 1)
    network, inputs = Encoder(6, n_codes=10).eval(), torch.from_numpy(features)
    found = network(inputs[first], inputs[second]).detach()
    np.testing.assert_allclose(found, pdist(features, "cosine"), atol=1e-5)


def test_a_grid_averages_the_maps_of_an_image():
    network, images, *_ = network_and_inputs("siamese symmetric grid")
    branch, scaled = network.branches[0], images / 255
    maps = branch.pool(branch.convolution1(scaled).relu())
    # 16 pixels leave maps of 2 x 2.
    maps = branch.pool(branch.convolution2(maps).relu())
    assert maps.shape == (N, 6, 2, 2)
    whole = Siamese(SIDE, widths=(4, 6), n_codes=7, grid=1, form=SYMMETRIC).eval()
    weights = {**network.state_dict(), "branches.0.dense.weight": torch.rand(7, 6)}
    whole.load_state_dict(weights)
    expected = maps.mean(dim=(2, 3)) @ weights["branches.0.dense.weight"].T
    torch.testing.assert_close(whole.encode(images, 0), expected, rtol=1e-4, atol=1e-5)


def test_options_that_there_are_not():
    with pytest.raises(InputError, match="found the form 'twin', expected one of published"):
        PairMLP(4, form="twin")
    with pytest.raises(InputError, match="found the head 'tanh', expected one of linear, sigmoid2"):
        Siamese(32, head="tanh")
    with pytest.raises(InputError, match="found images of 9 pixels, expected 10 or more"):
        Siamese(9)


def test_grey_is_that_of_pil_and_smaller_images_are_means():
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    grey = prepared(images, 12, colour=False)
    expected = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])
    assert np.abs(grey[:, 0].numpy().astype(int) - expected.astype(int)).max() <= 1
    small = prepared(images, 4, colour=True).numpy()
    means = images.reshape(3, 4, 3, 4, 3, 3).mean(axis=(2, 4)).round().transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(small, means)


def test_loss_is_half_the_error_less_half_the_correlation():
    found, true = np.random.default_rng(0).standard_normal((2, 40))
    expected = 0.5 * ((found - true) ** 2).mean() - 0.5 * pearsonr(found, true)[0]
    both = torch.from_numpy(found), torch.from_numpy(true)
    assert pair_loss(*both, correlation_share=0.5).item() == pytest.approx(expected, abs=1e-6)
    assert pair_loss(*both).item() == pytest.approx(((found - true) ** 2).mean())


def test_a_batch_without_spread_has_a_finite_gradient():
    found = torch.ones(8, requires_grad=True)
    pair_loss(found, torch.arange(8.0), correlation_share=0.5).backward()
    assert torch.isfinite(found.grad).all()


def test_neighbours_are_the_nearest_of_those_that_are_known():
    rng = np.random.default_rng(0)
    n, k = 12, 3
    values = rng.permutation(n * (n - 1) // 2).astype(np.float32)
    listed = np.sort(rng.choice(values.size, 45, replace=False))
    neighbours = Neighbours(PairSet.listed(values, n, listed), k)
    matrix = np.full(values.size, np.inf)
    matrix[listed] = values[listed]
    matrix = squareform(matrix)
    np.fill_diagonal(matrix, np.inf)
    for i in range(n):
        nearest = [j for j in np.argsort(matrix[i])[:k] if np.isfinite(matrix[i, j])]
        assert set(np.flatnonzero(neighbours.near[i])) == set(nearest)
        assert set(np.flatnonzero(neighbours.known[i])) == set(
            np.flatnonzero(np.isfinite(matrix[i]))
        )
    for seed in range(20):
        batch = neighbours.batch(np.random.default_rng(seed), 4)
        assert neighbours.near[np.ix_(batch, batch)].any(axis=1).sum() >= 4


def test_info_nce_is_its_formula_and_nothing_where_all_are_alike():
    rng = np.random.default_rng(1)
    n, temperature = 7, 0.2
    codes = rng.standard_normal((n, 3))
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    known = ~np.eye(n, dtype=bool)
    known[0, 3] = known[3, 0] = False
    near = known & (rng.random((n, n)) < 0.4)
    near[2] = False
    terms = []
    for i in range(n):
        total = sum(np.exp(codes[i] @ codes[k] / temperature) for k in range(n) if known[i, k])
        own = [np.exp(codes[i] @ codes[p] / temperature) for p in range(n) if near[i, p]]
        if own:
            terms.append(np.mean([-np.log(s / total) for s in own]) - np.log(known[i].sum()))
    masks = torch.from_numpy(near), torch.from_numpy(known)
    found = info_nce(torch.from_numpy(codes), *masks, temperature).item()
    assert found == pytest.approx(np.mean(terms))
    alike = torch.ones(n, 1, dtype=torch.float64)
    assert info_nce(alike, *masks, temperature).item() == pytest.approx(0, abs=1e-12)
