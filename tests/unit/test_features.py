"""Features and RDMs that stream over a disk, against the same numbers computed in memory."""

import errno
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import pdist, squareform

from workflow.lib.errors import InputError
from workflow.lib.features import grams, unit_blocks
from workflow.lib.features.extraction import extract_features, image_batches, layer_rows, pooled
from workflow.lib.features.grams import feature_gram, feature_rdm, products_on
from workflow.lib.features.networks import layer_extractor, load_network
from workflow.lib.features.stimuli import Stimuli
from workflow.lib.features.unit_blocks import UnitBlocks, check_free_disk

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for one another cost small networks more time than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_stimuli(n, side=40):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(n)]
    return Stimuli([f"image {i}" for i in range(n)], images.__getitem__, list(range(n)))


def to_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


def on_disk(folder, activations, block_units, batch=7):
    """Return activations (n_images, n_units) as they come from a network, a few rows at a time."""
    blocks = UnitBlocks(folder / "layer", *activations.shape, block_units, name="layer")
    for start in range(0, len(activations), batch):
        blocks.append(activations[start : start + batch])
    return blocks


def wide_layer(n=40, units=5000, offset=0.0):
    """Return activations with silent units, correlated images and channels of other means."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, 6)) @ rng.standard_normal((6, units))
    x += rng.standard_normal((n, units)) + offset + np.repeat(rng.normal(0, 3, units // 100), 100)
    x = np.maximum(x, 0) if not offset else x
    x[:, rng.random(units) < 0.1] = 0
    x[:, 17] = 2.5
    return x.astype(np.float32)


def standardised(x):
    x = x.astype(np.float64)
    x = x[:, x.std(axis=0) > 1e-6]
    return (x - x.mean(axis=0)) / x.std(axis=0)


# RDMs.

SCIPY = {
    "correlation": "correlation",
    "cosine": "cosine",
    "euclidean": "euclidean",
    "sq_euclidean": "sqeuclidean",
}


@pytest.mark.parametrize("block_units", [1, 333, 5000, 8192])
@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("metric", SCIPY)
def test_rdm_equals_the_one_in_memory(tmp_path, metric, standardise, block_units):
    x = wide_layer(units=1000 if block_units == 1 else 5000)
    expected = pdist(standardised(x) if standardise else x.astype(np.float64), SCIPY[metric])
    with on_disk(tmp_path, x, block_units) as blocks:
        found = feature_rdm(blocks, metric, standardise)
    assert found.dtype == np.float64
    scale = 1 if metric in ("correlation", "cosine") else expected.max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("block_units", [333, 1024, 8192])
def test_nothing_cancels_beside_a_large_mean(tmp_path, standardise, block_units):
    x = wide_layer(offset=1000.0)
    expected = pdist(standardised(x) if standardise else x.astype(np.float64), "correlation")
    with on_disk(tmp_path, x, block_units) as blocks:
        found = feature_rdm(blocks, "correlation", standardise)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", ["one dimension", "channels", "binary", "levels", "heavy tails"])
def test_exact_for_layers_of_every_kind(tmp_path, layer):
    rng = np.random.default_rng(0)
    n, units = 50, 16000
    noise = rng.standard_normal((n, units))
    forms = {
        "one dimension": np.outer(rng.standard_normal(n), rng.standard_normal(units)) + 0.1 * noise,
        "channels": np.repeat(rng.standard_normal((n, units // 500)), 500, axis=1) + 0.3 * noise,
        "binary": (noise > 0.5) * 1.0,
        "levels": noise + 3 * rng.standard_normal((n, 1)) + 20,
        "heavy tails": rng.standard_t(3, (n, units)),
    }
    x = np.float32(forms[layer] + 3 * rng.standard_normal(units))
    expected = pdist(x.astype(np.float64), "correlation")
    with on_disk(tmp_path, x, units) as blocks:
        found = feature_rdm(blocks, "correlation", False)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-7)


@pytest.mark.parametrize("block_units", [100, 4096])
@pytest.mark.parametrize("standardise", [False, True])
def test_gram(tmp_path, standardise, block_units):
    x = wide_layer()
    reference = standardised(x) if standardise else x.astype(np.float64)
    forms = {
        None: reference,
        "units": reference - reference.mean(axis=1, keepdims=True),
        "images": reference - reference.mean(axis=0),
    }
    with on_disk(tmp_path, x, block_units) as blocks:
        for centred_over, z in forms.items():
            found = feature_gram(blocks, standardise, centred_over=centred_over)
            expected = z @ z.T
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * expected.max())


def test_products_of_a_device():
    block = wide_layer(units=300)
    # What a GPU would do, on the device that every machine has.
    found = grams._products_there(CPU, block)
    np.testing.assert_allclose(found, products_on(CPU)(block), rtol=1e-5, atol=1e-3)


def test_products_are_symmetric_and_the_same_for_any_number_of_threads(monkeypatch):
    """Two threads of NumPy's library round otherwise than one, from about 100 images on."""
    block = np.random.default_rng(2).standard_normal((300, 2048)).astype(np.float32)
    found = []
    for n_threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", n_threads)
        found.append(products_on(CPU)(block))
    np.testing.assert_array_equal(found[0], found[0].T)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[0], block.astype(np.float64) @ block.T, atol=3e-3)


def test_units_that_do_not_vary_are_left_out(tmp_path):
    x = wide_layer(units=500)
    with on_disk(tmp_path, x, 64) as blocks:
        expected = feature_rdm(blocks, "euclidean", True)
    noise = np.float32(7) * (1 + 1e-7 * np.random.default_rng(0).standard_normal((len(x), 70)))
    padded = np.concatenate([np.full((len(x), 64), 3.0), x, noise], axis=1).astype(np.float32)
    with on_disk(tmp_path, padded, 64) as blocks:
        np.testing.assert_allclose(feature_rdm(blocks, "euclidean", True), expected, rtol=1e-6)


def test_layers_without_a_geometry(tmp_path):
    with (
        on_disk(tmp_path, np.full((8, 30), 2.0), 16) as blocks,
        pytest.raises(InputError, match=r"layer: found none of 30 units that varies over 8 images"),
    ):
        feature_rdm(blocks, "correlation", True)
    x = wide_layer(n=8, units=300)
    x[3] = 0.1
    x[5] = 0
    with on_disk(tmp_path, x, 16) as blocks:
        for metric, without in (("cosine", [5]), ("correlation", [3, 5])):
            gaps = np.isnan(squareform(feature_rdm(blocks, metric, False)))
            expected = np.zeros((8, 8), dtype=bool)
            expected[without] = expected[:, without] = True
            np.fill_diagonal(expected, False)
            np.testing.assert_array_equal(gaps, expected)
        with pytest.raises(InputError, match=r"'manhattan', expected one of correlation"):
            feature_rdm(blocks, "manhattan", False)


# Blocks on disk.


@pytest.mark.parametrize("block_units", [1, 3, 10, 11, 64])
@pytest.mark.parametrize("batch", [1, 4, 9])
def test_blocks_hold_what_was_appended(tmp_path, block_units, batch):
    x = np.arange(90, dtype=np.float32).reshape(9, 10)
    with on_disk(tmp_path, x, block_units, batch) as blocks:
        for _ in range(2):
            read = list(blocks)
            assert [block.shape for block in read[:-1]] == [(9, block_units)] * (len(read) - 1)
            np.testing.assert_array_equal(np.concatenate(read, axis=1), x)


def test_file_is_gone_whatever_happens(tmp_path):
    with UnitBlocks(tmp_path / "layer", 2, 3, 2):
        assert not list(tmp_path.iterdir())  # a process that is killed leaves nothing either
    with pytest.raises(ZeroDivisionError), UnitBlocks(tmp_path / "layer", 2, 3, 2):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_rows_that_do_not_fit(tmp_path):
    with UnitBlocks(tmp_path / "layer", 2, 3, 2) as blocks:
        with pytest.raises(ValueError, match=r"not \(n, 3\)"):
            blocks.append(np.ones((1, 4)))
        with pytest.raises(ValueError, match=r"more rows than its 2 images"):
            blocks.append(np.ones((3, 3)))
        with pytest.raises(ValueError, match=r"0 of 2 images appended"):
            next(iter(blocks))


def test_disk_without_room(tmp_path, monkeypatch):
    with pytest.raises(
        InputError, match=r"bytes free, expected at least 4,000,000,000,000,000 .*TMPDIR"
    ):
        UnitBlocks(tmp_path / "layer", 10**6, 10**9, 100)
    assert not list(tmp_path.iterdir())
    check_free_disk(tmp_path, 1)
    with UnitBlocks(tmp_path / "layer", 2, 3, 2) as blocks:

        def full(data):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(blocks, "_file", type("Full", (), {
            "write": staticmethod(full), "seek": lambda *_: None, "close": blocks._file.close,
        })())  # fmt: skip
        with pytest.raises(InputError, match=r"disk full after 0 of 2 images of layer.*TMPDIR"):
            blocks.append(np.ones((1, 3)))


# Extraction.


@pytest.fixture(scope="module")
def squeezenet():
    return load_network("squeezenet1_0", "untrained", seed=1)[0]


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_features_are_the_network_s(tmp_path, squeezenet, batch_size):
    stimuli = random_stimuli(10)
    extractor = layer_extractor(squeezenet, {"conv": "features.0", "fire": "features.5"})
    layers = extract_features(
        extractor, to_tensor, stimuli, device=CPU, folder=tmp_path, batch_size=batch_size,
        block_units=1000,
    )  # fmt: skip
    images = torch.stack([to_tensor(stimuli.image(i)) for i in range(10)])
    with torch.no_grad():
        conv = squeezenet.features[0](images)
        fire = squeezenet.features[:6](images)
    for label, expected in {"conv": conv, "fire": fire}.items():
        with layers[label] as blocks:
            found = np.concatenate(list(blocks), axis=1)
        np.testing.assert_allclose(found, expected.flatten(1), rtol=1e-4, atol=1e-5)
    assert not list(tmp_path.iterdir())


def test_features_are_the_same_for_any_number_of_threads(tmp_path, squeezenet, monkeypatch):
    """Shown few images at once, two threads round otherwise than one."""
    extractor = layer_extractor(squeezenet, {"fire": "features.5", "last": "features.12"})
    found = []
    for n_threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", n_threads)
        torch.set_num_threads(int(n_threads))
        layers = extract_features(
            extractor, to_tensor, random_stimuli(36), device=CPU, folder=tmp_path
        )
        found.append([np.concatenate(list(blocks), axis=1) for blocks in layers.values()])
        for blocks in layers.values():
            blocks.close()
    torch.set_num_threads(1)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0][0], other[0])
        np.testing.assert_array_equal(found[0][1], other[1])


def test_rdm_of_a_layer_equals_the_one_in_memory(tmp_path, squeezenet):
    stimuli = random_stimuli(12, side=64)
    extractor = layer_extractor(squeezenet, {"wide": "features.1"})
    layers = extract_features(
        extractor, to_tensor, stimuli, device=CPU, folder=tmp_path, block_units=7000
    )
    with torch.no_grad():
        x = extractor(torch.stack([to_tensor(stimuli.image(i)) for i in range(12)]))["wide"]
    with layers["wide"] as blocks:
        assert (blocks.n_images, blocks.n_units) == (12, 96 * 29 * 29)
        found = feature_rdm(blocks, "correlation", True)
    expected = pdist(standardised(x.flatten(1).numpy()), "correlation")
    # Batches of other sizes round otherwise, hence more than 1e-6.
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_pooling(pooling):
    reduce = {"mean": np.mean, "max": np.max}[pooling]
    rng = np.random.default_rng(0)
    cases = {
        (2, 7, 5, 5): (2, 3),  # a map
        (2, 5, 5, 7): (1, 2),  # a map with the channels last, as in Swin transformers
        (2, 5, 5, 5): (2, 3),
        (2, 7, 4, 5): (2, 3),
        (2, 9, 7): (1,),  # tokens
    }
    for shape, axes in cases.items():
        x = rng.standard_normal(shape).astype(np.float32)
        found = pooled(torch.from_numpy(x), pooling)
        np.testing.assert_allclose(found, reduce(x, axis=axes), rtol=1e-5, atol=1e-6)
    vectors = torch.ones(2, 6)
    assert pooled(vectors, pooling) is vectors
    assert pooled(torch.ones(2, 7, 5, 5), "none").shape == (2, 7, 5, 5)


def test_swin_transformer_is_pooled_over_space(tmp_path):
    with torch.device("meta"):
        network, _ = load_network("swin_t", "untrained")
        outputs = layer_extractor(network, {"x": "features.1", "y": "features.7"})(
            torch.zeros(2, 3, 224, 224)
        )
    assert [pooled(x, "mean").shape for x in outputs.values()] == [(2, 96), (2, 768)]


def test_pooled_extraction(tmp_path, squeezenet):
    extractor = layer_extractor(squeezenet, {"conv": "features.0"})
    options = {"device": CPU, "folder": tmp_path, "precision": "float32"}
    layers = extract_features(extractor, to_tensor, random_stimuli(3), pooling="max", **options)
    with layers["conv"] as blocks:
        assert blocks.n_units == 96
    with pytest.raises(InputError, match=r"'median', expected one of none, mean, max"):
        extract_features(extractor, to_tensor, random_stimuli(3), pooling="median", **options)


class Constant(torch.nn.Module):
    """A network with one layer, whose output is given."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, images):
        return {"deep": self.output(images)}


def nan_for_one_image(images):
    x = images.flatten(1)
    return torch.where(x[:, :1] == FLAGGED, torch.nan, x)


FLAGGED = float(to_tensor(random_stimuli(10).image(6))[0, 0, 0])


def test_an_activation_that_is_no_number(tmp_path):
    with pytest.raises(InputError, match=r"layer deep: found 4800 .*NaN.* for the image image 6,"):
        extract_features(
            Constant(nan_for_one_image), to_tensor, random_stimuli(10), device=CPU,
            folder=tmp_path, batch_size=4,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"layer x: found 1 activations .* the image b,"):
        layer_rows({"x": torch.tensor([[1.0, 2], [torch.inf, 3]])}, ["a", "b"], "none")
    large = torch.full((2, 10), 3e38)  # whose sum overflows, though all of it is finite
    assert layer_rows({"x": large}, ["a", "b"], "none")["x"].shape == (2, 10)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (lambda x: (x, None), "tuple"),
        (lambda x: x.shape[0], "int"),
        (lambda x: x > 0, r"a tensor of bool and shape \(3, 3, 40, 40\)"),
        (lambda x: x[:1], r"a tensor of float32 and shape \(1, 3, 40, 40\)"),
        (lambda x: x.sum(), r"a tensor of float32 and shape \(\)"),
    ],
)
def test_outputs_that_are_no_layer(tmp_path, output, found):
    with pytest.raises(InputError, match=f"layer deep: found an output that is {found} for 3"):
        extract_features(
            Constant(output), to_tensor, random_stimuli(3), device=CPU, folder=tmp_path
        )


def test_disk_without_room_for_all_layers(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 4 * 10 * 4800 - 1})
    monkeypatch.setattr(unit_blocks.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match=r"191,999 bytes free, expected at least 192,000"):
        extract_features(
            Constant(lambda x: x), to_tensor, random_stimuli(10), device=CPU, folder=tmp_path,
            batch_size=4,
        )  # fmt: skip


def test_gpu_without_room(tmp_path):
    def out_of_memory(images):
        raise torch.cuda.OutOfMemoryError

    with pytest.raises(InputError, match=r"too little memory on the GPU for batches of 4 images"):
        extract_features(
            Constant(out_of_memory), to_tensor, random_stimuli(10), device=CPU, folder=tmp_path,
            batch_size=4,
        )  # fmt: skip


def test_next_batch_is_prepared_meanwhile():
    second_prepared = threading.Event()
    stimuli = random_stimuli(6)

    def noting(image):
        if image is stimuli.image(3):
            second_prepared.set()
        return to_tensor(image)

    batches = image_batches(stimuli, noting, 3)
    names, images = next(batches)
    assert names == ["image 0", "image 1", "image 2"]
    assert images.shape == (3, 3, 40, 40)
    assert second_prepared.wait(timeout=10)
    assert next(batches)[0] == ["image 3", "image 4", "image 5"]
    assert next(batches, None) is None


def test_an_image_that_does_not_decode_stops_the_extraction(tmp_path):
    def read(i):
        raise InputError("photo.jpg: found a file that does not decode")

    with pytest.raises(InputError, match=r"photo.jpg"):
        extract_features(
            Constant(lambda x: x), to_tensor, Stimuli(["a"], read, [0]), device=CPU,
            folder=tmp_path,
        )  # fmt: skip
