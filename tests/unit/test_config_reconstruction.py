"""What the config of study reconstruction refuses, and the files and networks it stands for."""

import copy
import functools

import pytest

from scripts.reconstruction.generator.gan_training import GanOptions
from tests.unit.checked_entries import DEFAULT
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over
from workflow.lib.config.reconstruction import raw_paths
from workflow.lib.config.reconstruction_models import (
    generators_of,
    network_blocks,
    told_by_decoders,
    torchvision_networks,
    vector_length,
)
from workflow.lib.errors import InputError
from workflow.lib.training.options import TrainingOptions

ENTRY = {
    "title": "Lab",
    "source": "path",
    "path": "lab",
    "subjects": ["01", "02"],
    "responses": {
        "training": "sub-{subject}_training.h5",
        "tests": {"natural": "sub-{subject}_test.h5"},
        "rois": {"V1": "ROI_V1 = 1", "HVC": "ROI_HVC = 1"},
    },
    "stimuli": {"training": "training/{name}.*", "tests": {"natural": "test/{name}.*"}},
    "image": {"size": 32},
    "shapes": {
        "early": {"kind": "ridge", "rois": ["V1"]},
        "network": {"kind": "network", "rois": ["V1"]},
    },
    "semantics": {
        "linear": {"kind": "logistic", "rois": ["HVC"]},
        "network": {"kind": "network", "rois": ["HVC"]},
    },
    "generators": {
        "full": {"shape": "early", "semantics": "linear"},
        "shape_only": {"shape": "early"},
    },
}
ARRAYS = {
    "format": "arrays",
    "training": "{subject}.mat",
    "tests": {},
    "rois": {"V1": "all"},
    "key": "R",
    "images": {"key": "I", "shape": [10, 10]},
}


def completed(without=(), **changes):
    """Return the entry without some keys, and with others laid over it, as a run sees it."""
    entry = laid_over(copy.deepcopy(ENTRY), changes)
    for place in without:
        *blocks, key = place.split(".")
        del functools.reduce(dict.__getitem__, blocks, entry)[key]
    config = copy.deepcopy(DEFAULT)
    config.setdefault("reconstruction", {})["lab"] = entry
    return complete_config(config)["reconstruction"]["lab"]


def shape(**block):
    return {"shapes": {"odd": {"kind": "ridge", "rois": ["V1"], **block}}}


def category(**block):
    return {"semantics": {"odd": {"kind": "logistic", "rois": ["HVC"], **block}}}


CLIP = {"kind": "clip", "network": "ViT-B-32-quickgelu"}
REFUSED = {
    "source without its key": ({"path": None}, "found 'path' without `path`"),
    "images in the home folder of a shell": (
        {"stimuli": {"path": "~/images"}},
        r"stimuli\.path: found '~/images', expected a folder without ~",
    ),
    "responses by an absolute path": (
        {"responses": {"training": "/data/sub-{subject}.h5"}},
        r"responses: found the path '/data/sub-01\.h5', expected one relative",
    ),
    "simulation without a folder": (
        {"source": "simulated"},
        "found 'simulated' without `simulation.folder`",
    ),
    "arrays that are simulated": (
        {"source": "simulated", "simulation": {"folder": "lab"}, "responses": ARRAYS},
        "found arrays of a simulation, expected bdata",
    ),
    "arrays without a variable": (
        {"responses": {**ARRAYS, "key": None}},
        "found no `key`, expected it for the format arrays",
    ),
    "test called training": (
        {
            "responses": {"tests": {"training": "sub-{subject}_test.h5"}},
            "stimuli": {"tests": {"training": "x/{name}.*"}},
        },
        "found a test called training",
    ),
    "files without subject": (
        {"responses": {"training": "training.h5"}},
        r"found 'training.h5' for 2 subjects, expected \{subject\} in it",
    ),
    "test without images": (
        {"responses": {"tests": {"letters": "sub-{subject}_letters.h5"}}},
        "expected a pattern for each of natural, letters",
    ),
    "images of no test": (
        {"stimuli": {"tests": {"letters": "letters/{name}.*"}}},
        "expected a pattern for each of natural",
    ),
    "images beside arrays": ({"responses": ARRAYS}, "found stimuli for responses in arrays"),
    "images without a folder": (
        {"source": "download", "dataset": "deeprecon"},
        "expected the folder of the images, which are no part of the published data",
    ),
    "pattern of one file": (
        {"stimuli": {"training": "training/image.png"}},
        r"found 'training/image.png', expected \{name\}",
    ),
    "table of no part": (
        {"stimuli": {"tables": {"letters": {"file": "t.tsv", "id": 0, "name": 1}}}},
        "tables: found 'letters', expected one of training, natural",
    ),
    "unknown ROI of a shape": (shape(rois=["V2"]), "shapes.odd.rois: found 'V2', expected one of"),
    "unknown ROI of a category": (
        category(rois=["HVX"]),
        "semantics.odd.rois: found 'HVX', .* did you mean 'HVC'",
    ),
    "no ROI": (shape(rois=[]), "shapes.odd.rois: "),
    "unknown kind of a shape": (shape(kind="logistic"), "shapes.odd.kind: found 'logistic'"),
    "unknown kind of a category": (category(kind="ridge"), "semantics.odd.kind: found 'ridge'"),
    "ridge of a network": (
        shape(kind="network", ridge={"alphas": [1]}),
        "odd.ridge: found it for the kind network, expected it for ridge alone",
    ),
    "network of ridge": (
        shape(network={"widths": [8]}),
        "odd.network: found it for the kind ridge, expected it for network alone",
    ),
    "training of ridge": (
        shape(training={"n_epochs": 8}),
        "odd.training: found it for the kind ridge, expected it for network alone",
    ),
    "logistic of a network": (
        category(kind="network", logistic={"C": [1]}),
        "odd.logistic: found it for the kind network, expected it for logistic alone",
    ),
    "penalty that cannot be": (shape(ridge={"alphas": [1, 0]}), "alphas.1: found 0"),
    "strength that cannot be": (category(logistic={"C": [-1]}), "C.0: found -1"),
    "unknown key of a network": (
        shape(kind="network", network={"width": [4]}),
        "found the unknown key 'width', .* did you mean 'widths'",
    ),
    "unknown key of training": (
        shape(kind="network", training={"epochs": 4}),
        "found the unknown key 'epochs', .* did you mean 'n_epochs'",
    ),
    "all units dropped": (
        category(kind="network", network={"dropout": 1}),
        "dropout: found 1, expected less than 1",
    ),
    "unknown shape of a generator": (
        {"generators": {"odd": {"shape": "earl"}}},
        "generators.odd.shape: found 'earl', .* did you mean 'early'",
    ),
    "unknown category of a generator": (
        {"generators": {"odd": {"semantics": "linea"}}},
        "generators.odd.semantics: found 'linea', .* did you mean 'linear'",
    ),
    "shape of a category's decoder": (
        {"generators": {"odd": {"shape": "linear"}}},
        "generators.odd.shape: found 'linear', expected one of early, network",
    ),
    "generator that is told nothing": (
        {"generators": {"odd": {}}},
        "generators.odd: found neither a shape nor a category",
    ),
    "generator with the name of a baseline": (
        {"generators": {"mean_image": {"shape": "early"}}},
        "mean_image",
    ),
    "unknown baseline": ({"baselines": ["median_image"]}, "found 'median_image'"),
    "reference that is none": (
        {"evaluation": {"reference": "fulls"}},
        "evaluation.reference: found 'fulls', .* did you mean 'full'",
    ),
    "baseline as reference": (
        {"evaluation": {"reference": "mean_image"}},
        "evaluation.reference: found 'mean_image', expected one of full",
    ),
    "pair of an unknown generator": (
        {"evaluation": {"pairs": [["shape_only", "fulls"]]}},
        "evaluation.pairs: found 'fulls', .* did you mean 'full'",
    ),
    "pair of one generator": (
        {"evaluation": {"pairs": [["shape_only", "shape_only"]]}},
        "found 'shape_only' and 'shape_only', expected two generators",
    ),
    "pair that is compared anyway": (
        {"evaluation": {"pairs": [["full", "shape_only"]]}},
        "found 'full' and 'shape_only', expected .* another than the reference 'full'",
    ),
    "pair of three": (
        {"evaluation": {"pairs": [["full", "shape_only", "full"]]}},
        "evaluation.pairs.0: found",
    ),
    "unknown key of a generator's training": (
        {"generator": {"epochs": 3}},
        "found the unknown key 'epochs', .* did you mean 'n_epochs'",
    ),
    "one-way identification": ({"evaluation": {"n_way": [1]}}, "n_way.0: found 1"),
    "network without a layer": (
        {"evaluation": {"networks": {"alexnet2": {"network": "alexnet"}}}},
        "networks.alexnet2.layer: found no layer for the kind torchvision, expected one",
    ),
    "CLIP with a layer": (
        {"evaluation": {"networks": {"clip": CLIP | {"layer": "visual", "weights": "c.pt"}}}},
        "networks.clip.layer: found a layer for the kind clip, expected none; leave it out",
    ),
    "CLIP of torchvision": (
        {"evaluation": {"networks": {"clip": CLIP}}},
        "networks.clip.weights: found those of torchvision, which has no CLIP",
    ),
    "one fold": ({"folds": {"n_folds": 1}}, "n_folds: found 1, expected at least 2"),
    "unknown key": ({"decoders": {}}, "found the unknown key 'decoders'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_itself_is_refused(case):
    changes, words = REFUSED[case]
    with pytest.raises(InputError, match=words) as refused:
        completed(**changes)
    assert "lab" in str(refused.value)
    assert "\n" not in str(refused.value)


def with_control(semantics):
    """Return changes of the entry by which its reference is told by a network, another shuffled."""
    return {
        "semantics": {"control": {"rois": ["HVC"], "shuffled": True, **semantics}},
        "generators": {
            "full": {"semantics": "network"},
            "shape_only": {"semantics": "control"},
        },
    }


@pytest.mark.parametrize(
    ("semantics", "found"),
    [
        ({"kind": "logistic"}, "of kind logistic with a vector of 20 numbers"),
        (
            {"kind": "network", "network": {"widths": [64]}},
            "of kind network with a vector of 64 numbers",
        ),
    ],
)
def test_a_shuffled_decoder_that_differs_by_more_is_refused(semantics, found):
    """An ablation would change the generator's network beside what it is told."""
    words = rf"generators.shape_only.semantics: found .*'control', {found}.* of 1,024 numbers"
    with pytest.raises(InputError, match=words):
        completed(**with_control(semantics))
    same = completed(**with_control({"kind": "network"}))
    assert vector_length(same, "control") == vector_length(same, "network") == 1024
    assert vector_length(same, "linear") == 20


def test_a_shuffled_shape_of_another_kind_is_refused():
    control = {"kind": "network", "rois": ["V1"], "shuffled": True}
    generators = {"semantics_only": {"shape": "control", "semantics": "linear"}}
    with pytest.raises(InputError, match=r"'control', of kind network, expected one like 'early'"):
        completed(shapes={"control": control}, generators=generators)


def test_generators_without_a_test_are_refused():
    with pytest.raises(InputError, match=r"generators without `responses.tests`"):
        completed(without=["responses.tests", "stimuli.tests"])


def test_stimuli_are_needed_of_bdata():
    with pytest.raises(InputError, match="stimuli: found none, expected the patterns"):
        completed(without=["stimuli"])


def test_folder_of_another_simulation_is_refused():
    config = copy.deepcopy(DEFAULT)
    simulated = {**copy.deepcopy(ENTRY), "source": "simulated", "simulation": {"folder": "same"}}
    config.setdefault("reconstruction", {}).update(lab=simulated, other=copy.deepcopy(simulated))
    with pytest.raises(InputError, match=r"'same', where lab simulates"):
        complete_config(config)


def test_networks_have_the_published_size_and_training_by_default():
    """Fang et al. 2020: 3,025 units; 2,048 and 1,024; 150 epochs of 50; GAN as in its options."""
    entry = completed()
    assert entry["shapes"]["network"]["network"] == {"widths": [3025]}
    assert entry["semantics"]["network"]["network"] == {"widths": [2048, 1024], "dropout": 0}
    training = entry["semantics"]["network"]["training"]
    assert (training["n_epochs"], training["batch"]) == (150, 50)
    TrainingOptions(**training)
    perceptual = entry["generator"]["perceptual"]
    assert GanOptions(**entry["generator"]) == GanOptions(perceptual=perceptual)
    # What is of networks alone is not given to others.
    assert {"network", "training", "logistic"}.isdisjoint(entry["shapes"]["early"])
    assert {"network", "training", "ridge"}.isdisjoint(entry["semantics"]["linear"])


def test_first_generator_is_the_reference_unless_another_is_named():
    assert completed()["evaluation"]["reference"] == "full"
    named = completed(evaluation={"reference": "shape_only"})
    assert named["evaluation"]["reference"] == "shape_only"
    assert completed(without=["generators"])["evaluation"]["reference"] is None


def test_captions_know_who_tells_a_generator_nothing():
    control = {"kind": "ridge", "rois": ["V1"], "shuffled": True}
    semantics_only = {"shape": "control", "semantics": "network"}
    entry = completed(shapes={"control": control}, generators={"semantics_only": semantics_only})
    assert told_by_decoders(entry) == {
        "full": {"shape": "early", "semantics": "linear"},
        "shape_only": {"shape": "early", "semantics": "zero"},
        "semantics_only": {"shape": "shuffled", "semantics": "network"},
    }


def test_baselines_are_drawn_beside_generators_and_not_without():
    assert generators_of(completed()) == ["full", "shape_only", "mean_image", "nearest_image"]
    assert generators_of(completed(without=["generators"])) == []


def test_networks_that_images_are_shown_to_are_those_that_are_used():
    evaluated = {"networks": {"alexnet2": {"network": "alexnet", "layer": "features.4"}}}
    perceptual = {"perceptual_weight": 1, "perceptual": {"weights": "vgg.pth"}}
    entry = completed(evaluation=evaluated, generator=perceptual)
    assert [block["network"] for block in network_blocks(entry)] == ["resnet50", "vgg16", "alexnet"]
    assert torchvision_networks(entry) == ["resnet50", "alexnet"]
    paths = raw_paths(entry, {}, "run")
    assert paths[-1] == "vgg.pth"
    # Two subjects, training and a test.
    assert len(paths) == len(set(paths)) == 4 + 1
    plain = completed(without=["semantics", "generators"])
    assert network_blocks(plain) == []


def test_weights_of_clip_are_a_raw_file_and_nothing_is_asked_of_torchvision():
    networks = {"clip": CLIP | {"weights": "clip/clip_openai.pt"}}
    entry = completed(evaluation={"networks": networks}, clusters={"weights": "untrained"})
    assert "clip/clip_openai.pt" in raw_paths(entry, {}, "run")
    assert torchvision_networks(entry) == []
