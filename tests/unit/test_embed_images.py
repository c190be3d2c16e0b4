"""Embeddings of a subject's images: controls, networks, CLIP, and files made elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from scripts.dissimilarity.data.pair_images import PairImages
from scripts.dissimilarity.embedders.feature_files import open_features
from scripts.dissimilarity.embedders.networks import shown
from scripts.dissimilarity.embeddings.embed_images import embed_images, of_subject, opened_originals
from scripts.dissimilarity.embeddings.embedding_images import EmbeddingImages, stimuli_of_files
from tests.unit.small_clip import refuse_connections, use_small_clip
from tests.unit.test_environments import packages, packages_behind
from workflow.lib.config.pair_kinds import EMBEDDERS
from workflow.lib.errors import InputError
from workflow.lib.features.clip import ImageTower, load_clip, open_clip
from workflow.lib.features.networks import load_network

ROOT = Path(__file__).parents[2]
MODULES = {embedder.module for embedder in EMBEDDERS.values()}
N_IMAGES = 5
NAMES = [f"train-{i + 1:04d}_nsd-{31 * i:05d}" for i in range(N_IMAGES)]
LAYER = {
    "kind": "network",
    "network": "squeezenet1_1",
    "layer": "features.2",
    "weights": "untrained",
}


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "subj01/training_split/training_images"
    folder.mkdir(parents=True)
    small = np.empty((N_IMAGES, 16, 16, 3), np.uint8)
    # The published images are not the prepared ones, so that a test tells which were seen.
    for name, thumbnail in zip(NAMES, small, strict=True):
        pixels = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
        thumbnail[:] = rng.integers(0, 256, thumbnail.shape)
    return EmbeddingImages(
        PairImages(NAMES, small, np.arange(N_IMAGES)),
        lambda: opened_originals(tmp_path, None, NAMES, subject="subj01", match="exact"),
        seed=3,
    )


@pytest.fixture
def small_clip(monkeypatch):
    return use_small_clip(monkeypatch)


@pytest.fixture
def offline(monkeypatch):
    refuse_connections(monkeypatch)


# Controls and networks.


def test_pixels_are_those_of_the_prepared_images(images):
    found = embed_images(
        "pixel", {"kind": "pixel", "options": {"side": 16, "colour": True}}, images
    )
    expected = images.prepared.images.reshape(N_IMAGES, -1) / np.float32(255)
    np.testing.assert_allclose(found.features, expected, atol=1e-6)
    assert (found.name, found.names) == ("pixel", NAMES)


def test_wide_controls_keep_products(images):
    block = {"kind": "pixel", "options": {"side": 64, "colour": True}}
    assert embed_images("pixel", block, images).features is None


def test_wide_layer_has_the_products_of_what_the_network_gives(images, offline):
    found = embed_images("layer", LAYER, images)
    network, transforms = load_network("squeezenet1_1", "untrained", images.seed)
    shown = torch.stack([transforms(images.originals().image(i)) for i in range(N_IMAGES)])
    with torch.inference_mode():
        units = network.features[:3](shown).flatten(1).double().numpy()
    assert units.shape[1] == 64 * 55 * 55
    np.testing.assert_allclose(found.gram, units @ units.T, rtol=1e-5)
    expected = [np.corrcoef(units)[i, j] for i in range(N_IMAGES) for j in range(i + 1, N_IMAGES)]
    np.testing.assert_allclose(1 - found.distances("correlation"), expected, rtol=1e-4)


def test_narrow_layer_keeps_features(images):
    found = embed_images("layer", LAYER | {"options": {"pooling": "mean"}}, images)
    assert found.features.shape == (N_IMAGES, 64)


def test_unknown_kind_and_option_are_refused(images):
    with pytest.raises(InputError, match=r"found the kind 'vgg', expected one of pixel, gabor"):
        embed_images("x", {"kind": "vgg"}, images)
    with pytest.raises(InputError, match=r"option 'side', expected some of batch_size, pooling"):
        embed_images("x", LAYER | {"options": {"side": 3}}, images)


# CLIP.


def test_embedding_of_clip_is_what_its_tower_gives_at_length_one(images, offline):
    state = torch.get_rng_state()
    tower, transforms = load_clip("untrained")
    embedding, visual = (
        shown("clip", {}, images, ImageTower(tower.visual, output), transforms).features
        for output in ("embedding", "visual")
    )
    assert embedding.shape == visual.shape == (N_IMAGES, 512)
    lengths = np.linalg.norm(visual, axis=1, keepdims=True)
    assert not np.allclose(lengths, 1, atol=0.1)
    np.testing.assert_allclose(embedding, visual / lengths, atol=1e-6)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("network", ["ViT-B-32", "ViT-B-32-quickgelu"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_from_a_file_give_what_open_clip_gives(
    images, small_clip, offline, tmp_path, network, suffix
):
    model = open_clip.CLIP(**small_clip[network.replace("ViT-B-32", "small")]).eval()
    path = tmp_path / f"clip{suffix}"
    if suffix == ".pt":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    block = {"kind": "clip", "weights": str(path), "network": network}
    found = embed_images("clip", block, images).features
    transforms = open_clip.image_transform((32, 32), is_train=False)
    shown = torch.stack([transforms(images.originals().image(i)) for i in range(N_IMAGES)])
    with torch.inference_mode():
        expected = model.encode_image(shown, normalize=True).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


# Files made elsewhere.


def features_of(names):
    """Return features that tell the image: its number, and ten times it."""
    numbers = np.array([NAMES.index(name) if name in NAMES else -1 for name in names], np.float32)
    return np.stack([numbers, 10 * numbers], axis=1)


def written_features(folder, names, *, kind="npy", spelled="images/{}.png"):
    listed = [spelled.format(name) for name in names]
    if kind == "npz":
        np.savez(folder / "features.npz", names=listed, features=features_of(names))
        return folder / "features.npz"
    np.save(folder / "features.npy", features_of(names))
    (folder / "file_names.txt").write_text("\n".join(listed))
    return folder / "features.npy"


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("spelled", ["{}", "/data/subj01/{}.PNG", "images/{}.png"])
def test_rows_of_a_file_are_found_by_name(images, tmp_path, kind, spelled):
    order = [NAMES[i] for i in (3, 0, 4, 1, 2)]
    file = written_features(tmp_path, [*order, "train-0099_nsd-00099"], kind=kind, spelled=spelled)
    found = embed_images("clip", {"kind": "file", "file": str(file)}, images)
    assert np.array_equal(found.features, features_of(NAMES))
    assert found.names == NAMES


def test_names_may_stand_in_another_file(images, tmp_path):
    file = written_features(tmp_path, NAMES[::-1])
    names = (tmp_path / "file_names.txt").rename(tmp_path / "rows.txt")
    block = of_subject({"kind": "file", "file": "{subject}.npy", "names": str(names)}, "subj03")
    assert block["file"] == "subj03.npy"
    found = embed_images("clip", block | {"file": str(file)}, images)
    assert np.array_equal(found.features, features_of(NAMES))


def without_names(folder):
    written_features(folder, NAMES)
    (folder / "file_names.txt").unlink()


def one_name_too_few(folder):
    written_features(folder, NAMES)
    (folder / "file_names.txt").write_text("\n".join(NAMES[1:]))


def one_image_too_few(folder):
    written_features(folder, NAMES[1:])


def one_image_twice(folder):
    written_features(folder, [*NAMES, NAMES[2]])


def pickled(folder):
    written_features(folder, NAMES)
    np.save(folder / "features.npy", np.array([{"a": 1}, None], dtype=object))


def not_a_number(folder):
    written_features(folder, NAMES)
    values = features_of(NAMES)
    values[2, 1] = np.nan
    np.save(folder / "features.npy", values)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: None, r"features.npy: found no such .npy or .npz file"),
        (without_names, r"features.npy: found no names of its rows .*file_names.txt does not"),
        (one_name_too_few, r"shape \(5, 2\) and type float32 with 4 names"),
        (one_image_too_few, rf"no row for the image '{NAMES[0]}' \(1 of 5 have none"),
        (one_image_twice, r"found 1 image name\(s\) more than once"),
        (pickled, r"features.npy: found data that numpy cannot read without unpickling"),
        (not_a_number, rf"found 1 activations that are NaN.*'{NAMES[2]}'"),
    ],
)
def test_files_that_do_not_fit_are_refused(images, tmp_path, write, message):
    write(tmp_path)
    with pytest.raises(InputError, match=message) as raised:
        embed_images("x", {"kind": "file", "file": str(tmp_path / "features.npy")}, images)
    assert "\n" not in str(raised.value)


def test_archive_with_two_arrays_asks_which(tmp_path):
    path = tmp_path / "features.npz"
    np.savez(path, names=NAMES, a=features_of(NAMES), b=features_of(NAMES))
    with (
        pytest.raises(InputError, match=r"found array of features: several \('a', 'b'\)"),
        open_features(path, None, NAMES),
    ):
        pass


# Originals, and what kinds import.


def test_a_name_without_its_file_is_named(images, tmp_path):
    folder = tmp_path / "subj01/training_split/training_images"
    (folder / f"{NAMES[3]}.png").unlink()
    with pytest.raises(InputError, match=rf"called '{NAMES[3]}' \(1 of 5 are missing among 4"):
        images.originals()
    kept = [NAMES[4], NAMES[0]]
    first = np.asarray(Image.open(folder / f"{NAMES[4]}.png"))
    assert np.array_equal(np.asarray(stimuli_of_files(folder, kept).image(0)), first)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_environment_holds_what_each_kind_imports(module):
    needed = packages_behind(f"dissimilarity/embedders/{module}.py")
    assert needed <= packages(ROOT / "envs/torch.yaml")


def test_every_embedder_is_of_a_kind():
    folder = ROOT / "scripts/dissimilarity/embedders"
    assert {path.stem for path in folder.glob("*.py")} == MODULES
