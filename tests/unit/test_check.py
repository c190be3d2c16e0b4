"""`make check`: what it predicts, where it looks for files, and what it stops at before a run."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from scripts.check.check_config import DATASETS_FILE, check_study
from scripts.digits.network.vgg import SIZES, VGG
from tests.simulated_volumes import study_block, write_study
from tests.unit.checked_entries import DEFAULT
from tests.unit.raw_files import completed_config, random_rdms, shortest_brain
from workflow.lib.acquire.datasets import find_file, load_datasets
from workflow.lib.acquire.fetch import fetch_file
from workflow.lib.check.contents import response_sizes
from workflow.lib.config.complete import complete_config
from workflow.lib.errors import InputError
from workflow.lib.features.networks import layer_extractor, load_network
from workflow.lib.patterns.rdms import brain_rdms, extract_patterns
from workflow.lib.patterns.store import PatternStore, write_patterns
from workflow.lib.prediction import (
    BYTES_OF_LIBRARIES,
    encoding_cost,
    network_cost,
    searchlight_cost,
    study_size,
    training_cost,
)
from workflow.lib.rdms.distances import mahalanobis_distances
from workflow.lib.rdms.vectors import FLOAT64_LIMIT

N = 10
NAMES = [f"image_{i}.png" for i in range(N)]
REGISTRY = load_datasets(DATASETS_FILE)


def problems_of(config, datasets=REGISTRY):
    """Return the problems of the study `lab`."""
    return check_study("lab", config, datasets)


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
    assert network_cost(network(layers=["layer1"]), 1).n_seeds == 1


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


def long_patterns(folder, rois, n_channels):
    """Write 200 volumes of 25 conditions over all ROIs together, and return the study on them."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((200, n_channels), dtype=np.float32)
    np.savez(
        folder / "long.npz", **dict(zip(rois, np.split(values, len(rois), axis=1), strict=True))
    )
    rows = [f"c{i % 25} {i // 50}" for i in range(200)]
    (folder / "table.txt").write_text("\n".join(rows))
    brain = {
        **shortest_brain(),
        "data": "patterns",
        "files": "long.npz",
        "key": "{roi}",
        "rois": {"names": rois, "from": "key"},
        "observations": {"file": "table.txt", "condition": 0, "run": 1},
    }
    return completed_config(path=str(folder), brain=brain, models={"net": {"files": "net.csv"}})


def peak_of(action):
    tracemalloc.start()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("standardise", ["none", "run"])
@pytest.mark.parametrize("rois", [["all"], ["a", "b", "c", "d"]])
def test_memory_and_disk_of_responses_are_what_they_take(tmp_path, rois, standardise):
    study = long_patterns(tmp_path, rois, 12_000)["rsa"]["lab"]
    brain = {**study["brain"], "standardise": standardise}
    (size,) = response_sizes(study, brain, tmp_path)
    assert (size.n_observations, size.n_channels) == (200, 12_000)
    assert size.n_largest == 12_000 // len(rois)
    steps = {key: brain[key] for key in ("detrend", "standardise", "remove_mean_pattern")}
    file = tmp_path / "patterns.h5"

    def read():
        write_patterns(file, extract_patterns(brain, tmp_path, "s1", match="exact", **steps))

    def compare():
        for _ in brain_rdms(
            PatternStore(file),
            [f"c{i}" for i in range(25)],
            metric="correlation",
            noise_normalisation="none",
            match="exact",
        ):
            pass

    reading = size.reading_bytes(brain) - BYTES_OF_LIBRARIES
    assert 1 / 1.5 < reading / peak_of(read) < 1.5
    assert size.disk_bytes() == pytest.approx(file.stat().st_size, rel=0.15)
    whole = size.memory_bytes({**study, "brain": brain}) - BYTES_OF_LIBRARIES
    assert 1 / 1.5 < whole / max(peak_of(read), peak_of(compare)) < 1.5


def test_covariance_of_noise_counts_by_the_square_of_channels(tmp_path):
    """Of 300 and of 3,000 channels: 90,000 and 9 million covariances, 8 bytes each."""
    forecast = {}
    for n_channels in (300, 3000):
        study = long_patterns(tmp_path, ["all"], n_channels)["rsa"]["lab"]
        (size,) = response_sizes(study, study["brain"], tmp_path)
        for metric in ("correlation", "mahalanobis"):
            brain = {**study["brain"], "metric": metric}
            forecast[n_channels, metric] = size.memory_bytes({**study, "brain": brain})
    more = [forecast[n, "mahalanobis"] - forecast[n, "correlation"] for n in (300, 3000)]
    assert more[1] == pytest.approx(100 * more[0])
    rng = np.random.default_rng(0)
    patterns, noise = rng.standard_normal((25, 1200)), rng.standard_normal((200, 1200))
    peak = peak_of(lambda: mahalanobis_distances(patterns, noise, dof=150))
    assert 1 / 1.5 < more[1] * (1200 / 3000) ** 2 / peak < 1.5


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
    """Return the config of a study of two files."""
    stored = {"from": "stored", "key": "names"}
    layers = {"names": ["fc"], "from": "constant"}
    return completed_config(
        brain={**shortest_brain(), "files": "brain.npz", "key": "rdm", "conditions": stored},
        models={"net": {"files": "net.npz", "key": "rdm", "layers": layers, "conditions": stored}},
        **keys,
    )


def pattern_study(folder, **keys):
    """Return the config of a study of patterns and images."""
    brain = {
        **shortest_brain(),
        "data": "patterns",
        "files": "patterns.npz",
        "key": "V1",
        "conditions": {"from": "stored", "key": "names"},
    }
    return completed_config(
        path=str(folder),
        brain=brain,
        **{
            "models": {"pixel": {"control": "pixel"}},
            "stimuli": {"files": "*.png"},
            "encoding": {"folds": 3},
            **keys,
        },
    )


def test_files_may_lie_in_two_places(folder, tmp_path, monkeypatch, capsys):
    """Some were fetched by an earlier run, others are in the mirror still."""
    registry = tmp_path / "datasets.yaml"
    facts = {"title": "T", "licence": "L", "citation": "C", "homepage": "https://example.org"}
    files = [
        {"path": name, "url": f"https://example.org/{name}"} for name in ("brain.npz", "net.npz")
    ]
    registry.write_text(yaml.safe_dump({"lab": {**facts, "access": "open", "files": files}}))
    for name, place in (("brain.npz", "resources/lab"), ("net.npz", "mirror/lab")):
        (tmp_path / place).mkdir(parents=True)
        (folder / name).rename(tmp_path / place / name)
    monkeypatch.chdir(tmp_path)
    config = rdm_study(source="mirror", dataset="lab")
    config["mirror"] = "mirror"
    assert problems_of(config, load_datasets(registry)) == []
    assert f"images common to all files: {N}" in capsys.readouterr().out


def test_patterns_and_images_are_read(folder, capsys):
    config = pattern_study(folder)
    assert problems_of(config) == []
    printed = capsys.readouterr().out
    assert f"found    {N} .png files in {folder}" in printed
    assert f"patterns of s1: {N} images, 0 unmatched" in printed
    assert "ridge encoding: 1 layers x ROIs per subject" in printed


def test_responses_count_in_the_forecast(folder, capsys):
    """Ten patterns over 50,000 channels more: 4 bytes each."""
    config = pattern_study(folder)
    sizes = []
    for n_channels in (20, 50_020):
        patterns = np.random.default_rng(0).standard_normal((N, n_channels))
        np.savez(folder / "patterns.npz", V1=patterns, names=NAMES)
        assert problems_of(config) == []
        (megabytes,) = re.findall(r"job, ([\d.]+) MB of disk", capsys.readouterr().out)
        sizes.append(float(megabytes))
    assert sizes[1] - sizes[0] == pytest.approx(4 * N * 0.05, abs=0.2)


def test_roi_over_which_patterns_lie_on_a_line_is_told(folder, caplog):
    """Two numbers less their mean are (a, -a): all correlations are 1 or -1."""
    rng = np.random.default_rng(0)
    for n_channels, told in ((2, 1), (3, 0)):
        np.savez(folder / "patterns.npz", V1=rng.standard_normal((N, n_channels)), names=NAMES)
        caplog.clear()
        assert problems_of(pattern_study(folder)) == []
        sentence = "s1, V1: found 2 channel(s), over which every correlation distance is 0 or 2"
        assert [message.startswith(sentence) for message in caplog.messages] == [True] * told


def test_subjects_and_layers_of_one_file_are_told(folder, caplog):
    """Positions along an axis of the brain, and variables of the model."""
    vectors = random_rdms(2, N)
    np.savez(folder / "brain.npz", rdm=vectors, names=NAMES)
    np.savez(folder / "net.npz", a=vectors[0], b=vectors[1], names=NAMES)
    for names, told in (("00", 1), ("01", 0)):
        config = rdm_study(path=str(folder))
        study = config["rsa"]["lab"]
        positions = {"s1": int(names[0]), "s2": int(names[1])}
        study["brain"]["subjects"] = {"names": positions, "from": "axis", "axis": 0}
        study["models"]["net"]["key"] = "{layer}"
        layers = {"one": "a", "two": "a" if told else "b"}
        study["models"]["net"]["layers"] = {"names": layers, "from": "key"}
        caplog.clear()
        assert problems_of(config) == []
        assert [message.split(",")[0] for message in caplog.messages] == [
            "brain: found the subjects s1",
            "net: found the layers one",
        ] * told


def test_files_of_one_kind_are_counted_whatever_their_order(folder, capsys):
    for name in NAMES[::2]:
        (folder / name).rename((folder / name).with_suffix(".JPG"))
    config = pattern_study(folder, stimuli={"files": "*"}, images={"match": "normalised"})
    # All files of the folder are stimuli then, the others no images.
    problems_of(config)
    printed = capsys.readouterr().out
    for name in NAMES[1::2]:
        assert f"found    {folder / name} (" in printed
    for i in range(12):
        place = folder / f"{i % 2}"
        place.mkdir(exist_ok=True)
        Image.new("RGB", (5, 5)).save(place / f"more_{i}.{'JPG' if i % 3 else 'jpg'}")
    config["rsa"]["lab"]["stimuli"]["files"] = "**/*"
    problems_of(config)
    printed = capsys.readouterr().out
    for place, n in ((folder, 5), (folder / "0", 6), (folder / "1", 6)):
        assert f"found    {n} .jpg files in {place} (" in printed
    assert ".JPG" not in printed


def image_groups(**images):
    """Return keys of a study with the control model `groups` and these ways to group."""
    return {"models": {"classes": {"control": "groups"}}, "images": images}


def test_group_table_that_is_not_there_is_found_even_of_a_study_that_is_simulated(folder):
    table = {"file": f"{folder}/no.csv", "column": "class"}
    keys = image_groups(group_table=table)
    expected = f"lab: {folder}/no.csv: found no such file; correct images.group_table"
    simulated = {"source": "simulated"}
    simulation = {"simulation": {"simulator": "objects", "folder": "x"}}
    stimuli = {"stimuli": {"files": "images.npz", "key": "images"}}
    for more in ({}, simulated | simulation | stimuli):
        assert problems_of(pattern_study(folder, **keys, **more)) == [expected]


def test_group_table_without_the_column_or_an_image_is_found(folder):
    file = folder / "classes.csv"
    keys = image_groups(group_table={"file": str(file), "column": "klass"})
    file.write_text("name,class\n" + "".join(f"{name},{i % 2}\n" for i, name in enumerate(NAMES)))
    (problem,) = problems_of(pattern_study(folder, **keys))
    assert problem == (
        f"lab: {file}: found the columns name, class, expected 'klass'; correct images.group_table"
    )
    keys = image_groups(group_table={"file": str(file), "column": "class"})
    assert problems_of(pattern_study(folder, **keys)) == []
    file.write_text("name,class\n" + "".join(f"{name},a\n" for name in NAMES[1:]))
    (problem,) = problems_of(pattern_study(folder, **keys))
    assert problem.startswith(f"lab: {file}: ")
    assert repr(NAMES[0]) in problem


def test_images_of_one_group_are_no_model(folder):
    (problem,) = problems_of(pattern_study(folder, **image_groups(groups={"all": "."})))
    assert problem.startswith("lab: images.groups: found all images in the group 'all'")


@pytest.mark.parametrize(
    ("folds", "line"),
    [(3, "1 layers x ROIs per subject"), (4, "left out, 10 images are too few")],
)
def test_more_folds_than_a_run_can_make_are_told(folder, capsys, folds, line):
    """Each fold needs three images, and there are ten; a run then does without encoding."""
    assert problems_of(pattern_study(folder, encoding={"folds": folds})) == []
    assert f"ridge encoding: {line}" in capsys.readouterr().out


def test_options_that_a_control_cannot_have_together_are_found(folder):
    gabor = {"control": "gabor", "options": {"side": 30, "grid": 8}}
    (problem,) = problems_of(pattern_study(folder, models={"gabor": gabor}))
    assert problem == (
        "lab: found a Gabor grid of 8 cells over 30 pixels, expected a divisor of the side; change "
        "one of them"
    )
    gabor["options"]["grid"] = 6
    assert problems_of(pattern_study(folder, models={"gabor": gabor})) == []


def networks(weights, name="squeezenet1_0", layer="features.0"):
    """Return keys of a study with one network."""
    return {"models": {"net": {"network": name, "layers": [layer], "weights": str(weights)}}}


def test_weights_of_another_network_are_found(folder, capsys):
    other, _ = load_network("squeezenet1_1", "untrained")
    torch.save(other.state_dict(), folder / "weights.pth")
    keys = networks(folder / "weights.pth", name="resnet18", layer="layer1")
    (problem,) = problems_of(pattern_study(folder, **keys))
    assert problem.startswith("lab: weights.pth: found weights that do not fit resnet18")
    keys = networks(folder / "weights.pth", name="squeezenet1_1")
    assert problems_of(pattern_study(folder, **keys)) == []
    assert f"found    {folder}/weights.pth (" in capsys.readouterr().out


def test_weights_that_are_nowhere_are_found(folder):
    (problem,) = problems_of(pattern_study(folder, **networks(folder / "no.pth")))
    assert (
        problem == f"lab: found no weights {folder}/no.pth, expected that file; correct `weights`"
    )
    (problem,) = problems_of(pattern_study(folder, **networks("resources/none/no.pth")))
    assert problem.startswith("lab: found no weights resources/none/no.pth")


def published_weights(folder, **file):
    """Return a registry with the weights of a network, and their path in a run."""
    facts = {"title": "T", "licence": "L", "citation": "C", "homepage": "https://example.org"}
    files = [{"path": "net.pth", "bytes": 5_000_000, **file}]
    entry = {**facts, "access": "open", "how_to_get": "Ask Ann.", "files": files}
    (folder / "datasets.yaml").write_text(yaml.safe_dump({"nets": entry}))
    return load_datasets(folder / "datasets.yaml"), "resources/nets/net.pth"


def test_weights_that_the_registry_has_are_downloaded(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(folder)  # where nothing is
    registry, file = published_weights(tmp_path, url="https://example.org/net.pth")
    assert problems_of(pattern_study(folder, **networks(file)), registry) == []
    assert f"download {file} (5 MB)" in capsys.readouterr().out


def test_weights_at_no_address_are_a_problem_as_they_are_to_a_run(
    folder, tmp_path, capsys, monkeypatch
):
    """The sentence is the one that the job of the run would stop with."""
    monkeypatch.chdir(folder)
    registry, file = published_weights(tmp_path)
    config = pattern_study(folder, **networks(file))
    with pytest.raises(InputError) as stopped:
        fetch_file(*find_file(registry, "nets", "net.pth"), folder / "net.pth")
    assert problems_of(config, registry) == [f"lab: {stopped.value}"]
    assert "Ask Ann." in str(stopped.value)
    printed = capsys.readouterr().out
    assert f"missing  {file} (5 MB)" in printed
    assert "download" not in printed


def test_files_of_a_section_that_adds_to_a_study_are_looked_for(tmp_path, monkeypatch, capsys):
    """Pictures and weights of stand-ins, which have no check of their own."""
    monkeypatch.chdir(tmp_path)
    config = complete_config(DEFAULT)
    weights = "resources/squeezenet/squeezenet1_0_deepcompression_torchvision_state_dict.pth"
    problems = check_study("haxby_stand_ins", config, REGISTRY)
    starts = ["imagenet_sample/imagenet_sample_256.zip has no address", "squeezenet/squeezenet1_0_"]
    assert len(problems) == len(starts)
    for problem, start in zip(problems, starts, strict=True):
        assert problem.startswith(f"haxby_stand_ins: {start}")
    printed = capsys.readouterr().out.partition("stand_ins.haxby_stand_ins")[2]
    assert "missing  squeezenet1_0_deepcompression" in printed
    assert "missing  imagenet_sample_256.zip" in printed
    assert "download 92images/images/image_13.jpg" in printed
    for file in (weights, "resources/imagenet_sample/imagenet_sample_256.zip"):
        Path(file).parent.mkdir(parents=True)
        Path(file).touch()
    assert check_study("haxby_stand_ins", config, REGISTRY) == []
    config["stand_ins"]["haxby_stand_ins"]["weights"] = "mine.pth"
    assert check_study("haxby_stand_ins", config, REGISTRY) == [
        "haxby_stand_ins: found no mine.pth, expected that file; correct its name"
    ]


def test_weights_of_torchvision_are_announced_with_their_size(folder, capsys, monkeypatch):
    """44.7 MiB, as torchvision's page on resnet18 has it; kept where torch keeps downloads."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder / "hub"))
    keys = networks("torchvision", "resnet18", "layer1")
    assert problems_of(pattern_study(folder, **keys)) == []
    url = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert f"download {url} (46.8 MB), weights of net" in capsys.readouterr().out
    (folder / "hub/checkpoints").mkdir(parents=True)
    (folder / "hub/checkpoints/resnet18-f37072fd.pth").touch()
    assert problems_of(pattern_study(folder, **keys)) == []
    kept = folder / "hub/checkpoints/resnet18-f37072fd.pth"
    assert f"found    {kept} (46.8 MB), weights of net" in capsys.readouterr().out


def test_number_for_a_layer_stops_with_a_sentence(folder):
    keys = {"models": {"net": {"network": "alexnet", "weights": "untrained", "layers": {"a": 3}}}}
    (problem,) = problems_of(pattern_study(folder, **keys))
    assert problem == (
        "lab: found the layer 3, expected one of the network's, all of which `python -m "
        "workflow.lib.features.networks <network>` lists; correct it"
    )


def test_searchlights_count(tmp_path, capsys):
    """Twice the permutations take about twice as long, and are part of the whole."""
    subjects = ["s1", "s2"]
    write_study(tmp_path, subjects, seed=1)
    predicted = []
    for n_permutations in (0, 100_000, 200_000):
        block = study_block(tmp_path, subjects, n_permutations=n_permutations)
        config = complete_config({"run": "t", "studies": ["lab"], "rsa": {"lab": block}})
        assert problems_of(config) == []
        printed = capsys.readouterr().out
        assert "searchlight of s2: about" in printed
        study = config["rsa"]["lab"]
        predicted.append(searchlight_cost(study, 12, 1000, 33).seconds(2))
    assert predicted[0] < predicted[1]
    assert predicted[2] - predicted[0] == pytest.approx(2 * (predicted[1] - predicted[0]), rel=0.1)


def test_image_that_does_not_decode_is_found(folder):
    (folder / NAMES[3]).write_bytes(b"\x89PNG not really")
    (problem,) = problems_of(pattern_study(folder))
    assert problem.startswith(f"lab: {NAMES[3]}: found a file that does not decode as an image")


@pytest.mark.parametrize(
    ("control", "metric", "colour", "found"),
    [
        ("pixel", "correlation", (90, 90, 90), True),
        ("gabor", "correlation", (90, 90, 90), True),
        ("pixel", "euclidean", (90, 90, 90), False),
        ("pixel", "cosine", (90, 90, 90), False),
        ("pixel", "cosine", (0, 0, 0), True),
        # The share of one bin is one, that of all others none.
        ("colour_histogram", "correlation", (90, 90, 90), False),
    ],
)
def test_uniform_image_is_found_where_a_control_has_no_pattern_of_it(
    folder, control, metric, colour, found
):
    """A uniform image has no correlation; only a black one has no angle."""
    Image.new("RGB", (9, 9), colour).save(folder / NAMES[6])
    models = {"low": {"control": control, "metric": metric}}
    problems = problems_of(pattern_study(folder, models=models))
    sentence = (
        f"lab: low, {control}: found 1 image(s) whose pattern does not vary over units (for "
        f"example '{NAMES[6]}'), expected a pattern with an angle to others; replace the image, or "
        "choose the metric euclidean"
    )
    assert problems == [sentence] * found


def test_uniform_image_that_no_other_file_has_is_not_compared(folder):
    Image.new("RGB", (9, 9)).save(folder / "image_more.png")
    images = {"unmatched": "drop", "min_common": 4}
    assert problems_of(pattern_study(folder, images=images)) == []


def test_patterns_that_give_no_rdm_are_found(folder):
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((N, 20))
    patterns[2] = 1.5
    np.savez(folder / "patterns.npz", V1=patterns, names=NAMES)
    (problem,) = problems_of(pattern_study(folder))
    assert problem.startswith(
        "lab: patterns of s1, V1: found 1 of 10 patterns that do not vary over channels (the first "
        "is that of 'image_2.png')"
    )


def test_folder_in_place_of_a_pattern_of_images_is_named(folder):
    (folder / "images").mkdir()
    for name in NAMES:
        (folder / name).rename(folder / "images" / name)
    (problem,) = problems_of(pattern_study(folder, stimuli={"files": "images"}))
    assert problem == (
        f"lab: found the folder {folder}/images, expected a file; write images/*.png for all "
        "images of that kind in it, or correct `files`"
    )
    assert problems_of(pattern_study(folder, stimuli={"files": "images/*.png"})) == []


def test_mirror_is_no_advice_for_own_files(folder):
    (folder / "net.npz").unlink()
    (problem,) = problems_of(rdm_study(path=str(folder)))
    assert problem.endswith(f"expected them in {folder}; correct `path` or `files`")


def test_rdm_that_a_run_would_stop_at_is_found(folder):
    vector = random_rdms(1, N)[0]
    vector[4] = np.nan
    np.savez(folder / "net.npz", rdm=vector, names=NAMES)
    config = rdm_study(path=str(folder))
    (problem,) = problems_of(config)
    assert problem == (
        "lab: net.npz, rdm: found 1 NaN or infinite of 45 dissimilarities (1 of 'image_0.png', "
        "such as that from 'image_5.png'), expected none; leave out the conditions or voxels that "
        "cause them"
    )


# An entry of `digits`.

KINDS = {"digit": ["zero", "one"], "object": ["bed", "cat", "dog"]}


def digits_config(*, rsa=None, **entry):
    """Return a config whose entry `lab` of `digits` has some keys of a test's own."""
    block = {
        "title": "Lab",
        "source": "simulated",
        "simulation": {"folder": "lab"},
        "categories": KINDS,
        "images": {"train": 20, "validation": 5, "stimuli": 2},
        "embedding": {"perplexity": 5},
        **entry,
    }
    return complete_config(
        {
            "run": "t",
            "studies": ["lab"],
            "digits": {"lab": block},
            "rsa": {"lab": rsa} if rsa else {},
        }
    )


def patterns_study(folder, conditions, **keys):
    """Return a study of `rsa` with patterns of these conditions, and layers of `lab` as a model."""
    patterns = np.random.default_rng(1).normal(size=(len(conditions), 12))
    np.savez(folder / "patterns.npz", V1=patterns, names=conditions)
    brain = {
        **shortest_brain(),
        "data": "patterns",
        "files": "patterns.npz",
        "key": "V1",
        "conditions": {"from": "stored", "key": "names"},
    }
    return {
        "title": "Lab",
        "source": "path",
        "path": str(folder),
        "brain": brain,
        "models": {"vgg": {"made": True, "layers": ["conv1_1", "fc8"]}},
        "images": {"min_common": 4},
        **keys,
    }


def picture_config(folder, n_pictures, **keys):
    """Return a config whose images lie in a folder per category, so many of each."""
    rng = np.random.default_rng(0)
    for category in (*KINDS["digit"], *KINDS["object"]):
        (folder / category).mkdir(parents=True)
        for i in range(n_pictures):
            pixels = rng.integers(0, 255, (40, 36, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / category / f"{i}.png")
    files = [{"layout": "folders", "files": ["*/*.png"]}]
    images = {"train": 20, "validation": 5, "stimuli": 0, "files": files}
    return digits_config(source="path", path=str(folder), images=images, **keys)


def convolution_products(size, n_classes):
    """Return products of a forward pass by hand: outputs x their inputs, layer after layer."""
    depths, products, channels, side = (2, 2, 3, 3, 3), 0, 3, size.image
    for depth, width in zip(depths, size.widths, strict=True):
        for _ in range(depth):
            products += side * side * width * 9 * channels
            channels = width
        side //= 2
    return products + size.hidden * channels * side**2 + n_classes * size.hidden


@pytest.mark.parametrize("name", SIZES)
def test_training_counts_the_products_of_every_layer(name):
    size = SIZES[name]
    image = (3, size.image, size.image)
    cost = training_cost(VGG(size, 16), image, batch_size=32, n_steps=10, n_evaluated=0)
    # A product and a sum are two operations; sums over biases are not counted.
    assert cost.operations == 2 * convolution_products(size, 16)
    assert cost.n_values == 3 * size.image**2


def test_published_network_has_the_published_operations_and_parameters():
    """Simonyan & Zisserman 2015: 14.71 million weights in convolutions, 15.3 billion products."""
    cost = training_cost(
        VGG(SIZES["vgg16"], 16), (3, 224, 224), batch_size=1, n_steps=1, n_evaluated=0
    )
    head = 1024 * (7 * 7 * 512 + 1) + 16 * (1024 + 1)
    assert (cost.n_parameters - head) / 1e6 == pytest.approx(14.71, abs=0.01)
    assert cost.operations / 2e9 == pytest.approx(15.3, rel=0.01)


def test_twice_the_steps_take_twice_as_long():
    network, image = VGG(SIZES["vgg_small"], 4), (3, 32, 32)
    none, some, more = (
        training_cost(network, image, batch_size=8, n_steps=n, n_evaluated=0).seconds(2)
        for n in (0, 1000, 2000)
    )
    assert more - none == pytest.approx(2 * (some - none))


def test_images_and_steps_of_a_simulated_entry(capsys):
    """Of 40 digits and 60 objects, 13 and 19 a batch: three batches hold most of the images."""
    assert problems_of(digits_config()) == []
    printed = capsys.readouterr().out
    assert "digits.lab: Lab (source: simulated)" in printed
    assert "20 train + 5 validation + 2 stimuli of each of 5 categories (2 digit, 3 obj" in printed
    assert "135 in all" in printed
    assert "24 steps (8 epochs x 3) of 32 images (13 digit + 19 object)" in printed


def test_both_sections_of_a_study_are_checked(folder, capsys):
    """Models that the entry makes have no files, and its problems stand beside the other's."""
    rsa = patterns_study(folder, [*KINDS["digit"], *KINDS["object"]], encoding={"folds": 3})
    assert problems_of(digits_config(rsa=rsa)) == []
    printed = capsys.readouterr().out
    assert printed.index("rsa.lab: Lab") < printed.index("digits.lab: Lab")
    assert "ridge encoding" not in printed
    (folder / "patterns.npz").unlink()
    too_large = digits_config(rsa=rsa, network={"batch": {"digit": 41, "object": 1}})
    missing, batch = problems_of(too_large)
    assert missing.startswith("lab: found 1 of its raw files missing (for example patterns.npz)")
    assert batch.startswith("lab: training images of kind 'digit': found 40 for batches of 41")


def test_conditions_are_compared_with_the_categories_of_the_models(folder):
    rsa = patterns_study(folder, ["zero", "one", "bed", "cat", "stool"])
    (problem,) = problems_of(digits_config(rsa=rsa))
    assert "stool" in problem
    assert "digits.lab.categories" in problem


def test_collinear_contrasts_are_found_before_a_network_is_trained():
    codes = {
        "Digit": [["digit", "digit"]],
        "Object": [["object", "object"]],
        "Versus": [["digit", "object"]],
    }
    (problem,) = problems_of(digits_config(codes=codes))
    assert "a constant explain all of" in problem


def test_images_of_a_simulated_brain_are_the_categories_of_its_digits(capsys):
    rsa = {
        "title": "Lab",
        "source": "simulated",
        "simulation": {"simulator": "digits", "folder": "lab"},
        "brain": shortest_brain(),
        "models": {"vgg": {"made": True, "layers": ["conv1_1"]}},
    }
    assert problems_of(digits_config(rsa=rsa)) == []
    assert "predicted: 5 images (10 pairs)" in capsys.readouterr().out


def test_pictures_are_read_as_a_run_reads_them(tmp_path, capsys):
    config = picture_config(tmp_path / "raw", 25)
    assert problems_of(config) == []
    printed = capsys.readouterr().out
    assert "RDMs of layers are those of validation images" in printed
    for category in ("zero", "dog"):
        assert f"found    25 .png files in {tmp_path}/raw/{category} (" in printed
    (tmp_path / "raw/dog/7.png").write_bytes(b"\x89PNG not really")
    (problem,) = problems_of(config)
    assert problem.startswith("lab: dog/7.png: found a file that does not decode as an image")


def test_too_few_pictures_are_found(tmp_path):
    (problem,) = problems_of(picture_config(tmp_path / "raw", 24))
    assert problem.startswith("lab: lab, images of 'zero': found 4 for validation")


def archived(tmp_path, **keys):
    """Return a config whose images come out of an archive, and the registry that lists it."""
    parts = ["Train_Data.npz", "Val_Data.npz"]
    files = [
        {"path": "all.zip", "url": "https://example.org/all.zip", "bytes": 3_000_000},
        *({"path": part, "from": "all.zip"} for part in parts),
    ]
    facts = {"title": "T", "licence": "L", "citation": "C", "homepage": "https://example.org"}
    registry = tmp_path / "datasets.yaml"
    registry.write_text(yaml.safe_dump({"own": {**facts, "access": "open", "files": files}}))
    images = {"train": 20, "validation": 5, "files": [{"layout": "parts", "files": parts}]}
    config = digits_config(**{"dataset": "own", "source": "download", "images": images, **keys})
    return config, load_datasets(registry)


def test_archive_counts_once_and_for_all_that_comes_out_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config, datasets = archived(tmp_path)
    assert problems_of(config, datasets) == []
    assert capsys.readouterr().out.count("download all.zip (3 MB)") == 1
    (tmp_path / "resources/own").mkdir(parents=True)
    (tmp_path / "resources/own/all.zip").write_bytes(b"PK")
    assert problems_of(config, datasets) == []
    printed = capsys.readouterr().out
    assert printed.count("found    resources/own/all.zip (2 bytes)") == 1
    assert "2 files that come out of others, such as Train_Data.npz out of all.zip" in printed


def test_images_that_nobody_downloads_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, datasets = archived(tmp_path, source="mirror")
    (problem,) = problems_of(config, datasets)
    assert problem == (
        "lab: found 1 of its raw files missing (for example all.zip), expected them in "
        "<mirror>/own; correct `mirror` or `images.files`"
    )


def test_collection_that_lacks_its_files_is_named(tmp_path, monkeypatch):
    """Of two data sets one is here."""
    monkeypatch.chdir(tmp_path)
    facts = {"title": "T", "licence": "L", "citation": "C", "homepage": "https://example.org"}
    registry = {
        name: {**facts, "access": "open", "files": [{"path": "a.zip", "url": "https://a.org/a"}]}
        for name in ("digits", "objects")
    }
    (tmp_path / "datasets.yaml").write_text(yaml.safe_dump(registry))
    (tmp_path / "mirror/digits").mkdir(parents=True)
    (tmp_path / "mirror/digits/a.zip").write_bytes(b"PK")
    files = [{"layout": "folders", "files": ["a.zip"], "dataset": name} for name in registry]
    config = digits_config(source="mirror", images={"files": files})
    config["mirror"] = "mirror"
    (problem,) = problems_of(config, load_datasets(tmp_path / "datasets.yaml"))
    assert "expected them in <mirror>/objects" in problem


def test_images_of_another_size_than_the_network_takes_are_found():
    (problem,) = problems_of(digits_config(images={"side": 64}))
    assert problem.startswith("lab: training images: found the shape (64, 64, 3), expected (32,")


def test_weights_of_the_published_network_do_not_fit_a_narrow_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (problem,) = problems_of(digits_config(network={"weights": "torchvision"}))
    assert problem.startswith("lab: weights torchvision: found shape (64, 3, 3, 3)")
    assert "download https://download.pytorch.org/models/vgg16" in capsys.readouterr().out
