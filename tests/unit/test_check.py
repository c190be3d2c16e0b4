"""`make check`: what it predicts, where it looks for files, and what it stops at before a run."""

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from scripts.check.check_config import check_study
from tests.unit.raw_files import completed_config, random_rdms, shortest_brain
from workflow.lib.acquire.datasets import load_datasets
from workflow.lib.features.networks import layer_extractor, load_network
from workflow.lib.prediction import encoding_cost, network_cost, study_size
from workflow.lib.rdms.vectors import FLOAT64_LIMIT

N = 10
NAMES = [f"image_{i}.png" for i in range(N)]


def network(name="resnet50", layers=("fc",), **keys):
    """Return a network's block as the schema completes it."""
    config = completed_config(
        models={"net": {"network": name, "layers": list(layers), **keys}},
        stimuli={"files": "*.png"},
    )
    return config["rsa"]["lab"]["models"]["net"]


# What things cost.


@pytest.mark.parametrize(
    # As torchvision documents them, in products (GFLOPS there) and parameters.
    ("name", "layer", "billions", "millions"),
    [("resnet50", "fc", 4.09, 25.6), ("vgg16", "classifier.6", 15.47, 138.4)],
)
def test_operations_and_parameters_are_the_published_ones(name, layer, billions, millions):
    cost = network_cost(network(name, [layer], weights="untrained", seeds=3), n_images=7)
    assert cost.operations / 2e9 == pytest.approx(billions, rel=0.01)
    assert cost.n_parameters / 1e6 == pytest.approx(millions, rel=0.01)
    assert (cost.n_images, cost.n_seeds, cost.n_units) == (7, 3, 1000)


def test_units_are_those_of_a_real_forward_pass():
    model = network("squeezenet1_0", ["features.0", "features.12"], weights="untrained")
    net, transforms = load_network("squeezenet1_0", "untrained")
    images = transforms(Image.new("RGB", (300, 240))).unsqueeze(0)
    with torch.inference_mode():
        outputs = layer_extractor(net, model["layers"]["names"])(images)
    cost = network_cost(model, n_images=11)
    assert cost.n_units == sum(output[0].numel() for output in outputs.values())
    assert cost.temporary_bytes() == sum(
        11 * output[0].numpy().nbytes for output in outputs.values()
    )


def test_nothing_after_the_last_layer_is_counted():
    early, late = (network_cost(network(layers=[layer]), 1) for layer in ("layer1", "layer4"))
    assert early.operations < late.operations / 4


def test_a_trained_network_has_one_seed():
    assert network_cost(network(layers=["layer1"], seeds=5), 1).n_seeds == 1


def test_matrices_count_as_what_they_are_held_in():
    study = completed_config()["rsa"]["lab"]
    below, above = (study_size(study, n).memory_bytes() for n in (FLOAT64_LIMIT, FLOAT64_LIMIT + 1))
    assert above < below


def test_encoding_counts_seeds_rois_and_subjects():
    brain = {
        **shortest_brain(),
        "data": "patterns",
        "subjects": {"names": ["s1", "s2"], "from": "constant"},
        "rois": {"names": ["V1", "V2", "IT"], "from": "constant"},
    }
    models = {
        "net": {"network": "resnet18", "layers": ["layer1", "layer2"], "seeds": 4}
        | {"weights": "untrained"},
        "pixel": {"control": "pixel"},
        "file": {"files": "x.csv"},
    }
    study = completed_config(brain=brain, models=models, stimuli={"files": "*.png"})["rsa"]["lab"]
    cost = encoding_cost(study, 50)
    assert cost.n_fits == (2 * 4 + 1) * 3
    assert cost.n_subjects == 2
    study["encoding"]["folds"] = 0
    assert encoding_cost(study, 50) is None


# A study of files.


@pytest.fixture
def folder(tmp_path):
    """Raw files of a study: RDMs of a brain and a model, patterns, and images."""
    rng = np.random.default_rng(0)
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, vector in zip(("brain", "net"), random_rdms(2, N), strict=True):
        np.savez(raw / f"{name}.npz", rdm=vector, names=NAMES)
    np.savez(raw / "patterns.npz", V1=rng.standard_normal((N, 20)), names=NAMES)
    for name in NAMES:
        Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(raw / name)
    return raw


def rdm_study(**keys):
    """Return a study of two files, and its config."""
    stored = {"from": "stored", "key": "names"}
    layers = {"names": ["fc"], "from": "constant"}
    config = completed_config(
        brain={**shortest_brain(), "files": "brain.npz", "key": "rdm", "conditions": stored},
        models={"net": {"files": "net.npz", "key": "rdm", "layers": layers, "conditions": stored}},
        **keys,
    )
    return config["rsa"]["lab"], config


def pattern_study(folder):
    """Return a study of patterns and images, and its config."""
    brain = {
        **shortest_brain(),
        "data": "patterns",
        "files": "patterns.npz",
        "key": "V1",
        "conditions": {"from": "stored", "key": "names"},
    }
    config = completed_config(
        path=str(folder),
        brain=brain,
        models={"pixel": {"control": "pixel"}},
        stimuli={"files": "*.png"},
    )
    return config["rsa"]["lab"], config


def test_files_may_lie_in_two_places(folder, tmp_path, monkeypatch, capsys):
    """Some were fetched by an earlier run, others are in the mirror still."""
    registry = tmp_path / "datasets.yaml"
    facts = {"title": "T", "licence": "L", "citation": "C", "homepage": "https://example.org"}
    files = [
        {"path": name, "url": f"https://example.org/{name}"} for name in ("brain.npz", "net.npz")
    ]
    registry.write_text(yaml.safe_dump({"lab": {**facts, "access": "open", "files": files}}))
    monkeypatch.setattr("scripts.check.check_config.DATASETS_FILE", registry)
    assert set(load_datasets(registry)) == {"lab"}
    for name, place in (("brain.npz", "resources/lab"), ("net.npz", "mirror/lab")):
        (tmp_path / place).mkdir(parents=True)
        (folder / name).rename(tmp_path / place / name)
    monkeypatch.chdir(tmp_path)
    study, config = rdm_study(source="mirror", dataset="lab")
    config["mirror"] = "mirror"
    assert check_study("lab", study, config) == []
    assert f"images common to all files: {N}" in capsys.readouterr().out


def test_patterns_and_images_are_read(folder, capsys):
    study, config = pattern_study(folder)
    assert check_study("lab", study, config) == []
    printed = capsys.readouterr().out
    assert f"found    {N} .png files in {folder}" in printed
    assert f"patterns of s1: {N} images, 0 unmatched" in printed
    assert "ridge encoding: 1 layers x ROIs per subject" in printed


def test_image_that_does_not_decode_is_found(folder):
    (folder / NAMES[3]).write_bytes(b"\x89PNG not really")
    (problem,) = check_study("lab", *pattern_study(folder))
    assert problem.startswith(f"lab: {NAMES[3]}: found a file that does not decode as an image")


def test_patterns_that_give_no_rdm_are_found(folder):
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((N, 20))
    patterns[2] = 1.5
    np.savez(folder / "patterns.npz", V1=patterns, names=NAMES)
    (problem,) = check_study("lab", *pattern_study(folder))
    assert problem.startswith("lab: patterns of s1, V1: found 1 of 10 patterns that do not vary")


def test_rdm_that_a_run_would_stop_at_is_found(folder):
    vector = random_rdms(1, N)[0]
    vector[4] = np.nan
    np.savez(folder / "net.npz", rdm=vector, names=NAMES)
    study, config = rdm_study(path=str(folder))
    (problem,) = check_study("lab", study, config)
    assert problem == (
        "lab: net.npz, rdm: found 1 NaN or infinite of 45 dissimilarities, expected none; leave "
        "out the conditions or voxels that cause them"
    )
