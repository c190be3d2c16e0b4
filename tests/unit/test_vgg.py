"""VGG-16 against torchvision's and counted parameters, and the small network of the same layers."""

import pytest
import torch
import yaml

from scripts.digits.network.vgg import (
    ANALYSED_LAYERS,
    PRETRAINED,
    SIZES,
    VGG,
    build_vgg,
    load_convolutions,
    node_of,
)
from workflow.lib.config.digits import LAYERS
from workflow.lib.config.schema import SCHEMAS
from workflow.lib.errors import InputError
from workflow.lib.features.networks import load_network


@pytest.fixture(scope="module")
def published():
    return build_vgg("vgg16", 16, seed=1)


def test_published_size_has_fifteen_layers_and_the_counted_parameters(published):
    """By hand: 14,714,688 in the convolutions (Simonyan & Zisserman), and the two of the head."""
    assert len(ANALYSED_LAYERS) == 15
    counted = sum(p.numel() for p in published.parameters())
    assert counted == 14_714_688 + (512 * 7 * 7 + 1) * 1024 + (1024 + 1) * 16


def test_the_config_knows_these_layers_and_sizes():
    """The config's part names them again, which must not import the network."""
    schema = yaml.safe_load((SCHEMAS / "studies/digits.schema.yaml").read_text())
    assert LAYERS == ANALYSED_LAYERS
    assert sizes_in(schema) == set(SIZES)


def sizes_in(schema):
    """Return the choices of the only enumeration that names a network of ours."""
    if isinstance(schema, dict):
        own = set(schema.get("enum", [])) if PRETRAINED in schema.get("enum", []) else set()
        return own.union(*(sizes_in(part) for part in schema.values()))
    return set()


def test_convolutions_of_torchvision_give_its_features(published):
    """The same weights under other names: equal activations up to the last pooling."""
    network, _ = load_network("vgg16", "untrained", seed=3)
    load_convolutions(published, network.state_dict(), "these weights")
    images = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        ours = published.layers[: list(dict(published.layers.named_children())).index("fc6")](
            images
        )
        torch.testing.assert_close(ours, network.features(images))


def test_weights_of_another_network_are_refused(published):
    network, _ = load_network("resnet18", "untrained", seed=3)
    with pytest.raises(InputError, match=r"resnet\.pth: found nothing under features\.0\.weight"):
        load_convolutions(published, network.state_dict(), "resnet.pth")


@pytest.mark.parametrize("name", SIZES)
def test_layers_are_modules_and_logits_are_one_per_class(name):
    network = build_vgg(name, 7, seed=0).eval()
    modules = dict(network.named_modules())
    assert all(node_of(layer) in modules for layer in ANALYSED_LAYERS)
    with torch.inference_mode():
        assert network(torch.rand(2, 3, *2 * [SIZES[name].image])).shape == (2, 7)


def test_signal_reaches_the_last_layer_of_an_untrained_network():
    """Of PyTorch's own initialisation next to nothing is left after thirteen convolutions."""
    size, images = SIZES["vgg_small"], torch.randn(64, 3, 32, 32)
    torch.manual_seed(0)
    networks = {"ours": build_vgg("vgg_small", 16, seed=0), "PyTorch's": VGG(size, 16)}
    with torch.inference_mode():
        spread = {name: net.eval()(images).std(dim=0).mean() for name, net in networks.items()}
    assert spread["ours"] > 0.05
    assert spread["PyTorch's"] < 0.001


def test_a_seed_gives_one_network_and_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (build_vgg("vgg_small", 4, seed=9) for _ in range(2))
    assert torch.rand(1) == expected
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_vgg("vgg19", 16, seed=0), "found the network 'vgg19'"),
        (lambda: node_of("conv6_1"), "found the layer 'conv6_1'"),
    ],
)
def test_unknown_names(call, message):
    with pytest.raises(InputError, match=message):
        call()
