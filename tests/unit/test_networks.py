"""Networks against plain torchvision and torch hooks; weights in the forms in which they lie."""

import logging
import re
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from workflow.lib.errors import InputError
from workflow.lib.features import devices
from workflow.lib.features.devices import autocast, choose_device
from workflow.lib.features.networks import (
    layer_extractor,
    layer_nodes,
    load_network,
    network_names,
    torchvision,
)
from workflow.lib.features.stimuli import open_stimuli


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for one another cost small networks more time than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def squeezenet():
    return load_network("squeezenet1_0", "untrained", seed=3)[0]


def random_images(n=2, side=64):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def hooked(network, layers, images):
    """Return what the modules of a network put out, copied before anything can overwrite it."""
    found, handles = {}, []
    for layer in layers:

        def keep(module, inputs, output, layer=layer):
            found[layer] = output.clone()

        handles.append(network.get_submodule(layer).register_forward_hook(keep))
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return found


# Weights.


@pytest.mark.realdata
def test_trained_squeezenet_recognises_natural_images(mirror):
    weights, photos = mirror / "squeezenet", mirror / "imagenet_sample"
    if not (weights.is_dir() and photos.is_dir()):
        pytest.skip(f"no squeezenet and imagenet_sample at {mirror}")
    network, transforms = load_network("squeezenet1_0", next(weights.glob("squeezenet1_0*")))
    stimuli = open_stimuli(photos, {"files": next(photos.glob("*.zip")).name})
    assert len(stimuli) == 1000  # one per class, in the order of the classes
    chosen = stimuli.select(range(0, 1000, 10))
    correct = 0
    for start in range(0, len(chosen), 10):
        images = torch.stack([transforms(chosen.image(start + i)) for i in range(10)])
        with torch.no_grad():
            answers = network(images).argmax(dim=1)
        correct += int((answers == 10 * (start + torch.arange(10))).sum())
    assert correct >= 50


def test_untrained_network_is_that_of_its_seed(squeezenet):
    torch.manual_seed(3)
    expected = torchvision.models.squeezenet1_0().eval().state_dict()
    torch.manual_seed(99)
    again = load_network("squeezenet1_0", "untrained", seed=3)[0].state_dict()
    other = load_network("squeezenet1_0", "untrained", seed=4)[0].state_dict()
    assert not squeezenet.training
    for key, value in squeezenet.state_dict().items():
        assert torch.equal(value, expected[key])
        assert torch.equal(value, again[key])
    assert not torch.equal(expected["features.0.weight"], other["features.0.weight"])


def test_global_random_state_is_untouched(tmp_path, squeezenet):
    torch.save(squeezenet.state_dict(), tmp_path / "w.pth")
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    for weights in ("untrained", tmp_path / "w.pth"):
        load_network("squeezenet1_0", weights, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(before_numpy, np.random.get_state()[1])  # noqa: NPY002


WRITERS = {
    "plain.pth": lambda state: state,
    "nested.pt": lambda state: {"state_dict": state, "epoch": 3},
    "model.pth": lambda state: {"model": state},
    "parallel.pth": lambda state: {f"module.{key}": value for key, value in state.items()},
    "both.pth": lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    "half.pth": lambda state: {key: value.half() for key, value in state.items()},
    "plain.safetensors": dict,
    "parallel.safetensors": lambda state: {f"module.{key}": v for key, v in state.items()},
}


@pytest.mark.parametrize("form", WRITERS)
def test_weights_from_a_file(tmp_path, squeezenet, form):
    path = tmp_path / form
    save = safetensors.torch.save_file if path.suffix == ".safetensors" else torch.save
    save(WRITERS[form](squeezenet.state_dict()), path)
    state = load_network("squeezenet1_0", str(path))[0].state_dict()
    for key, value in squeezenet.state_dict().items():
        torch.testing.assert_close(state[key], value, atol=1e-3 if "half" in form else 0, rtol=0)


def test_weights_of_data_parallel(tmp_path):
    network = load_network("mnasnet0_5", "untrained", seed=1)[0]
    torch.save(torch.nn.DataParallel(network).state_dict(), tmp_path / "w.pth")
    # MNASNet refuses weights without the version of its modules, which safetensors do not keep.
    safetensors.torch.save_file(network.state_dict(), tmp_path / "w.safetensors")
    images = random_images()
    with torch.no_grad():
        expected = network(images)
        for name in ("w.pth", "w.safetensors"):
            found = load_network("mnasnet0_5", tmp_path / name)[0](images)
            torch.testing.assert_close(found, expected)


def test_densenet_keys_of_2017(tmp_path):
    network = load_network("densenet121", "untrained", seed=1)[0]
    old = {
        re.sub(r"(denselayer\d+\.)(norm|conv)(\d)", r"\1\2.\3", key): value
        for key, value in network.state_dict().items()
        if "num_batches_tracked" not in key
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "w.pth")
    found = load_network("densenet121", tmp_path / "w.pth")[0].state_dict()
    key = "features.denseblock2.denselayer3.conv2.weight"
    assert torch.equal(found[key], network.state_dict()[key])


def test_weights_for_another_number_of_classes(tmp_path):
    network = torchvision.models.squeezenet1_0(num_classes=7)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    found, _ = load_network("squeezenet1_0", tmp_path / "w.pth")
    with torch.no_grad():
        torch.testing.assert_close(found(random_images()), network.eval()(random_images()))


def test_auxiliary_classifiers_are_left_out(tmp_path):
    network = torchvision.models.googlenet(
        init_weights=False, transform_input=True, aux_logits=True
    )
    torch.save(network.state_dict(), tmp_path / "w.pth")
    found, _ = load_network("googlenet", tmp_path / "w.pth")
    with torch.no_grad():
        torch.testing.assert_close(found(random_images()), network.eval()(random_images()))
    extractor = layer_extractor(found, {"logits": "fc", "deep": "inception5b"})
    with torch.no_grad():
        outputs = extractor(random_images())
        torch.testing.assert_close(outputs["logits"], found(random_images()))
    assert outputs["deep"].shape[:2] == (2, 1024)


def test_downloaded_weights(tmp_path, monkeypatch, squeezenet):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*arguments, **options):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", no_network)
    with pytest.raises(InputError, match=r"no way to download https://.*no route.*give its path"):
        load_network("squeezenet1_0", "torchvision")
    weights = torchvision.models.SqueezeNet1_0_Weights.DEFAULT
    file = tmp_path / "hub" / "checkpoints" / Path(weights.url).name
    torch.save(squeezenet.state_dict(), file)
    found, _ = load_network("squeezenet1_0", "torchvision")
    assert torch.equal(found.features[0].weight, squeezenet.features[0].weight)


def test_errors_of_weights(tmp_path, squeezenet):
    def refuses(message, name="squeezenet1_0", weights=tmp_path / "w.pth"):
        with pytest.raises(InputError, match=message):
            load_network(name, weights)

    refuses(r"'resnet5', expected one of.*did you mean 'resnet50'", name="resnet5")
    refuses(r"w.pth: found no such file.*torchvision or untrained")
    (tmp_path / "w.h5").write_bytes(b"")
    refuses(r"suffix '.h5', expected one of .pth, .pt", weights=tmp_path / "w.h5")
    (tmp_path / "w.pth").write_bytes(b"no weights at all")
    refuses(r"w.pth: found")
    (tmp_path / "w.safetensors").write_bytes(b"no weights at all")
    refuses(r"17 bytes that are no readable weights", weights=tmp_path / "w.safetensors")
    torch.save(squeezenet, tmp_path / "w.pth")
    refuses(r"found more than tensors.*state_dict\(\)")
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    refuses(r"a mapping with the keys 'epoch', expected a state dict")
    torch.save([torch.zeros(2)], tmp_path / "w.pth")
    refuses(r"found list, expected a state dict")


def test_weights_of_another_network(tmp_path, squeezenet):
    path = tmp_path / "w.pth"
    torch.save(torchvision.models.resnet18().state_dict(), path)
    with pytest.raises(InputError, match=r"w.pth: found.* do not fit squeezenet1_0") as error:
        load_network("squeezenet1_0", path)
    assert "52 missing, for example classifier.1.bias" in str(error.value)
    assert "122 unknown, for example bn1.bias" in str(error.value)
    torch.save(squeezenet.state_dict(), path)
    with pytest.raises(InputError, match=r"example 'features.0.bias', \(96,\) in place of \(64,\)"):
        load_network("squeezenet1_1", path)


# Preprocessing.


def test_preprocessing_is_that_of_the_default_weights():
    _, transforms = load_network("squeezenet1_0", "untrained")
    image = torchvision.transforms.functional.to_pil_image(torch.rand(3, 300, 400))
    found = transforms(image)
    small = torchvision.transforms.functional.resize(image, 256)
    crop = torchvision.transforms.functional.center_crop(small, 224)
    expected = torch.from_numpy(np.array(crop)).permute(2, 0, 1) / 255
    mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (expected - mean[:, None, None]) / sd[:, None, None]
    torch.testing.assert_close(found, expected)


def test_every_network_has_preprocessing_and_takes_what_it_gives():
    weights = [torchvision.models.get_model_weights(name).DEFAULT for name in network_names()]
    assert len(weights) >= 80
    with torch.device("meta"):  # 630 million weights are not worth a test's memory
        network, transforms = load_network("vit_h_14", "untrained")
    assert network.image_size == transforms.crop_size[0] == 518


# Layers.


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("squeezenet1_0", ["features.0", "features.3.squeeze", "features.5", "classifier.1"]),
        ("resnet18", ["conv1", "bn1", "layer1", "layer2.0.bn2", "layer4", "fc"]),
        ("densenet121", ["features.norm0", "features.denseblock1", "features.norm5"]),
    ],
)
def test_layers_are_what_hooks_see(name, layers):
    network, _ = load_network(name, "untrained", seed=2)
    images = random_images()
    expected = hooked(network, layers, images)
    extractor = layer_extractor(network, {layer.upper(): layer for layer in layers})
    with torch.no_grad():
        found = extractor(images)
    assert list(found) == [layer.upper() for layer in layers]
    for layer in layers:
        torch.testing.assert_close(found[layer.upper()], expected[layer])


def test_a_convolution_is_not_rectified_in_place(squeezenet):
    images = random_images()
    with torch.no_grad():
        found = layer_extractor(squeezenet, {"conv": "features.0"})(images)["conv"]
        module = squeezenet.features[0]
        expected = torch.nn.functional.conv2d(images, module.weight, module.bias, stride=2)
    assert found.shape == (2, 96, 29, 29)  # (64 - 7) // 2 + 1
    assert found.min() < 0
    torch.testing.assert_close(found, expected)


def test_prefixes_and_two_names_for_a_layer(squeezenet):
    nodes = {"a": "features.3", "b": "features.3", "c": "features.3.cat", "d": "features"}
    extractor = layer_extractor(squeezenet, nodes)
    with torch.no_grad():
        found = extractor(random_images())
    assert list(found) == list(nodes)
    assert found["a"] is found["b"]
    torch.testing.assert_close(found["a"], found["c"])
    assert extractor.nodes["d"] == layer_nodes("squeezenet1_0")[-6]


def test_nothing_is_computed_after_the_last_layer(squeezenet):
    extractor = layer_extractor(squeezenet, {"x": "features.2"})
    ran = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in squeezenet.named_modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        extractor(random_images())
    for handle in handles:
        handle.remove()
    assert ran == ["features.0", "features.1", "features.2"]


def test_inception_without_its_auxiliary_output():
    with torch.device("meta"):
        network, transforms = load_network("inception_v3", "untrained")
        extractor = layer_extractor(network, {"mixed": "Mixed_7c", "logits": "fc"})
        found = extractor(torch.zeros(2, 3, 299, 299))
    assert transforms.crop_size == [299]
    assert found["mixed"].shape == (2, 2048, 8, 8)
    assert found["logits"].shape == (2, 1000)


def test_transformer_tokens():
    with torch.device("meta"):
        network, _ = load_network("vit_b_16", "untrained")
        found = layer_extractor(network, {"x": "encoder.layers.encoder_layer_0"})(
            torch.zeros(2, 3, 224, 224)
        )
    assert found["x"].shape == (2, 197, 768)


def test_unknown_layer(squeezenet):
    with pytest.raises(InputError, match=r"'feature.5'.*lists; did you mean 'features\.5'"):
        layer_extractor(squeezenet, {"x": "feature.5"})
    with pytest.raises(InputError, match=r"'features\.1\.0'"):  # no prefix of "features.10"
        layer_extractor(squeezenet, {"x": "features.1.0"})


def test_layer_nodes():
    nodes = layer_nodes("squeezenet1_0")
    assert nodes[0] == "x"
    assert {"features.0", "features.3.squeeze", "features.12.cat", "classifier.1"} <= set(nodes)


# Devices.


def test_no_gpu_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(0).type == "cpu"
    assert choose_device(1).type == "cuda"


def test_a_laptop_goes_on_without_its_gpu(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert choose_device(1).type == "cpu"
    assert "running on the CPU" in caplog.text


def test_a_cluster_job_does_not(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    with pytest.raises(InputError, match=r"SLURM job 12: found no GPU.*--resources gpu=0"):
        choose_device(1)


def test_half_precision_is_for_gpus(caplog):
    devices._warn_once.cache_clear()
    product = torch.ones(2, 2)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with autocast(torch.device("cpu"), "bfloat16"):
                assert (product @ product).dtype == torch.float32
    assert caplog.text.count("float32") == 1
    with pytest.raises(InputError, match=r"'float8', expected one of float32, bfloat16, float16"):
        autocast(torch.device("cpu"), "float8")
