"""Reconstructions and images are compared by what a network gives of them, CLIP among others."""

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.evaluation.compare_features import (
    KINDS,
    compare_features,
    network_text,
)
from scripts.reconstruction.evaluation.compared_features import read_compared, read_network
from scripts.reconstruction.evaluation.evaluate_reconstruction import (
    Files,
    evaluate_reconstruction,
)
from tests.unit.small_clip import refuse_connections, use_small_clip
from workflow.lib.features.clip import open_clip
from workflow.lib.features.networks import load_network, torchvision, without_crop
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import fitted_to_all, write_held_out

N_TEST, SIDE = 5, 20
LAYER = {"kind": "torchvision", "network": "squeezenet1_1", "layer": "features.2"}
CLIP = {"kind": "clip", "network": "ViT-B-32-quickgelu"}


@pytest.fixture
def study(tmp_path):
    """Return images, reconstructions in the order of the images, and their file."""
    rng = np.random.default_rng(0)
    n = N_TEST + 1
    images = ImageTable(
        names=["t0"] + [f"i{k}" for k in range(N_TEST)],
        parts=[TRAINING] + ["natural"] * N_TEST,
        images=rng.integers(0, 256, (n, SIDE, SIDE, 3), np.uint8),
        shapes=np.zeros((n, SIDE, SIDE), np.float32),
        groups=np.arange(n),
    )
    made = rng.integers(0, 256, (N_TEST, SIDE, SIDE, 3), np.uint8)
    path = tmp_path / "full_01.h5"
    # In another order than that of the table.
    names = images.of("natural").names[::-1]
    write_held_out(
        path, {"natural": fitted_to_all(names, made[::-1])}, {"generator": "full", "subject": "01"}
    )
    return images, made, path


def compared(study, block, folder):
    images, _, path = study
    output = folder / "compared.h5"
    seen = KINDS[block["kind"]](block, seed=0, n_gpus=0)
    compare_features(seen, images, [path], output, network=network_text(block))
    return output


def test_clip_compares_as_open_clip_does(study, tmp_path, monkeypatch):
    configs = use_small_clip(monkeypatch)
    refuse_connections(monkeypatch)
    model = open_clip.CLIP(**configs["small-quickgelu"]).eval()
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    output = compared(study, CLIP | {"weights": str(tmp_path / "clip.pt")}, tmp_path)
    transforms = open_clip.image_transform((32, 32), is_train=False)
    images, made, path = study

    def embedded(pictures):
        shown = torch.stack([transforms(Image.fromarray(picture)) for picture in pictures])
        with torch.inference_mode():
            return model.encode_image(shown).numpy()

    true = images.of("natural").images
    expected = np.corrcoef(embedded(made), embedded(true))[:N_TEST, N_TEST:]
    np.testing.assert_allclose(read_compared(output, path, "natural"), expected, atol=1e-5)
    assert read_network(output) == "CLIP ViT-B-32-quickgelu (weights clip.pt)"


def test_networks_of_torchvision_are_shown_whole_images(study, tmp_path):
    """Resized without a crop, as for published numbers."""
    output = compared(study, LAYER | {"weights": "untrained"}, tmp_path)
    images, made, path = study
    features = load_network(LAYER["network"], "untrained", 0)[0].features[:3]

    def seen(pictures):
        shown = torch.from_numpy(pictures.transpose(0, 3, 1, 2) / np.float32(255))
        # Upwards, so that nothing has to be smoothed.
        shown = torch.nn.functional.interpolate(shown, (256, 256), mode="bilinear")
        mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
        shown = (shown - mean[:, None, None]) / deviation[:, None, None]
        with torch.inference_mode():
            return features(shown).flatten(1).numpy()

    expected = np.corrcoef(seen(made), seen(images.of("natural").images))[:N_TEST, N_TEST:]
    # The workflow resizes pictures of 8 bits.
    np.testing.assert_allclose(read_compared(output, path, "natural"), expected, atol=0.003)


@pytest.mark.parametrize(
    ("network", "side"),
    # Published comparisons show AlexNet 256 pixels, Inception 342; transformers take one size.
    [("alexnet", 256), ("inception_v3", 342), ("vit_b_16", 224), ("maxvit_t", 224)],
)
def test_edges_of_square_images_are_seen(network, side):
    usual = torchvision.models.get_model_weights(network).DEFAULT.transforms()
    framed = np.full((300, 300, 3), 128, np.uint8)
    framed[[0, 1, -2, -1]] = 255
    framed[:, [0, 1, -2, -1]] = 255
    seen = without_crop(network, usual)(Image.fromarray(framed))
    assert seen.shape == (3, side, side)
    for edge in (seen[:, 0], seen[:, -1], seen[:, :, 0], seen[:, :, -1]):
        assert edge.min() > seen[:, 20, 20].max()


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (LAYER | {"weights": "untrained"}, "squeezenet1_1 features.2 (untrained)"),
        (
            LAYER | {"weights": "torchvision"},
            "squeezenet1_1 features.2 (weights of torchvision)",
        ),
        (LAYER | {"weights": "a/net.pth"}, "squeezenet1_1 features.2 (weights net.pth)"),
        (CLIP | {"weights": "untrained"}, "CLIP ViT-B-32-quickgelu (untrained)"),
    ],
)
def test_tables_say_whose_weights_a_network_has(block, text):
    assert network_text(block) == text


def test_scores_by_a_network_name_it_and_those_by_pixels_name_none(study, tmp_path):
    images, _, path = study
    output = compared(study, LAYER | {"weights": "untrained"}, tmp_path)
    tables = evaluate_reconstruction(
        images,
        Files([path], {"squeezenet": output}),
        n_way=[2],
        n_bootstrap=20,
        n_permutations=20,
        reference="full",
        pairs=[],
        seed=0,
        study="test",
    )
    named = tables.means.groupby("features")["network"].unique().map(list).to_dict()
    text = "squeezenet1_1 features.2 (untrained)"
    assert named == {"pixels": [""], "squeezenet": [text]}
