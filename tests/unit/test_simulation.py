"""Simulated BOLD5000 files: published layout, planted layers found, nothing found in the null."""

import itertools
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.stats
import yaml
from rsatoolbox.rdm import load_rdm

from scripts.bold5000.simulate_bold5000 import simulate
from workflow.lib.config.complete import complete_config
from workflow.lib.inference.multiple_tests import false_discovery_rate
from workflow.lib.inference.permutation import permute_images
from workflow.lib.rdms.alignment import align
from workflow.lib.rdms.source import names_by_file, read_aligned
from workflow.lib.rsa.comparators import compare

N_IMAGES = 240
# 1,000 Scene, 2,000 COCO and 1,916 ImageNet images of 4,916.
N_SCENE, N_COCO, N_IMAGENET = 49, 98, 93
# 2,952 of 4,916.
N_CSI4 = 144
LAYERS = ["conv1", "layer1", "layer2", "layer3", "layer4"]
AREAS = {"EarlyVis": "layer1", "LOC": "layer3", "OPA": "layer2", "PPA": "layer3", "RSC": "layer4"}
ROIS = [f"{hemisphere}{area}" for hemisphere in ("LH", "RH") for area in AREAS]
PLANTED = list(AREAS.values()) * 2
SUBJECTS = ["CSI1", "CSI2", "CSI3"]
BRAIN_FILES = [f"CSI{i}_BOLD5000_CORR_RDMs.h5" for i in range(1, 5)]
MODEL_FILE = "ResNet50_CORR_RDMs.h5"
SPELLINGS = {
    "Scene": r"[A-Za-z0-9]+\.jpg",
    "COCO": r"COCO_train2014_\d{12}\.jpg",
    "ImageNet": r"n\d{8}_\d+\.(JPEG|jpg)",
}


def simulated(folder, **settings):
    truth = simulate(folder, n_images=N_IMAGES, name="test", **settings)
    return folder, truth


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("raw"), null_effect=False, seed=70999)[0]


@pytest.fixture(scope="module")
def study():
    config = Path(__file__).parents[2] / "config" / "config.yaml"
    return complete_config(yaml.safe_load(config.read_text()))["rsa"]["bold5000"]


def image_names(path):
    with h5py.File(path) as file:
        return [name.decode() for name in file["pattern_descriptors/image"][()]]


def common_images(study, folder, match):
    """Return the images that the files of the three subjects and of the network share."""
    names = names_by_file(study["brain"], folder)
    names |= names_by_file(study["models"]["resnet50"], folder)
    return align(names, match=match, unmatched="drop")


def aligned(study, folder):
    """Return layer RDMs (5, n_pairs), each subject's ROI RDMs (10, n_pairs), and n images."""
    names, match = common_images(study, folder, "normalised").names, "normalised"

    def vectors(source, labels, **fixed):
        rdms = list(read_aligned(source, folder, names, match=match, fixed=fixed))
        assert [next(reversed(found.values())) for found, _ in rdms] == labels
        return np.stack([vector for _, vector in rdms])

    layers = vectors(study["models"]["resnet50"], LAYERS)
    brains = {subject: vectors(study["brain"], ROIS, subject=subject) for subject in SUBJECTS}
    return layers, brains, len(names)


def test_files_are_those_of_the_publication(raw):
    assert sorted(path.name for path in raw.iterdir()) == [*BRAIN_FILES, MODEL_FILE]


@pytest.mark.parametrize(
    ("file", "n_rdms", "n_images", "labels"),
    [
        *((file, 10, N_IMAGES, ROIS) for file in BRAIN_FILES[:3]),
        (BRAIN_FILES[3], 10, N_CSI4, ROIS),
        (MODEL_FILE, 5, N_IMAGES - 1, LAYERS),
    ],
)
def test_layout_is_the_published_one(raw, file, n_rdms, n_images, labels):
    n_pairs = n_images * (n_images - 1) // 2
    with h5py.File(raw / file) as content:
        assert set(content.attrs) == {"rsatoolbox_version", "dissimilarity_measure"}
        assert content.attrs["dissimilarity_measure"] == "correlation"
        assert set(content) == {
            "dissimilarities",
            "descriptors",
            "rdm_descriptors",
            "pattern_descriptors",
        }
        stack = content["dissimilarities"]
        assert (stack.shape, stack.dtype) == ((n_rdms, n_pairs), np.float64)
        # Contiguous and uncompressed.
        assert stack.chunks is None
        assert stack.id.get_storage_size() == 8 * n_rdms * n_pairs
        assert len(content["descriptors"]) == 0

        patterns = content["pattern_descriptors"]
        assert set(patterns) == {"image", "index"}
        assert patterns["image"].dtype.kind == "S"
        assert patterns["image"].shape == (n_images,)
        assert patterns["index"].dtype == np.int64
        np.testing.assert_array_equal(patterns["index"], np.arange(n_images))

        (key,) = set(content["rdm_descriptors"]) - {"index"}
        assert content["rdm_descriptors"][key].dtype.kind == "S"
        assert [value.decode() for value in content["rdm_descriptors"][key]] == labels
        assert content["rdm_descriptors/index"].dtype == np.int64


def test_rsatoolbox_opens_them(raw):
    rdms = load_rdm(str(raw / MODEL_FILE), file_type="hdf5")
    assert (rdms.n_rdm, rdms.n_cond) == (5, N_IMAGES - 1)
    # Correlation distances: from 0 to 2, around 1.
    assert rdms.dissimilarities.min() > 0
    assert rdms.dissimilarities.max() < 2
    assert rdms.dissimilarities.mean() == pytest.approx(1, abs=0.05)


def test_images_come_from_the_three_sources_in_their_published_shares(raw):
    names = image_names(raw / BRAIN_FILES[0])
    assert len(set(names)) == N_IMAGES
    found = {
        source: sum(bool(re.fullmatch(spelling, name)) for name in names)
        for source, spelling in SPELLINGS.items()
    }
    assert found == {"Scene": N_SCENE, "COCO": N_COCO, "ImageNet": N_IMAGENET}


def test_the_traps_of_the_published_files_are_there(raw):
    names = {file: image_names(raw / file) for file in (*BRAIN_FILES, MODEL_FILE)}
    # Every file in an order of its own.
    for first, second in itertools.combinations(names.values(), 2):
        shared = set(first) & set(second)
        assert [name for name in first if name in shared] != [
            name for name in second if name in shared
        ]
    # The network's file spells ImageNet names its own way, all of them and no others, and lacks
    # one Scene or COCO image.
    brain, model = set(names[BRAIN_FILES[0]]), set(names[MODEL_FILE])
    imagenet = {name for name in brain if re.fullmatch(SPELLINGS["ImageNet"], name)}
    assert all(name.endswith(".JPEG") for name in imagenet)
    assert model - brain == {name.replace(".JPEG", ".jpg") for name in imagenet}
    assert len((brain - model) - imagenet) == 1
    # All subjects saw the same images, CSI4 fewer of them.
    assert brain == set(names[BRAIN_FILES[1]]) == set(names[BRAIN_FILES[2]])
    assert set(names[BRAIN_FILES[3]]) < brain


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("exact", {"Scene": N_SCENE, "COCO": N_COCO, "ImageNet": 0}),
        ("normalised", {"Scene": N_SCENE, "COCO": N_COCO, "ImageNet": N_IMAGENET}),
    ],
)
def test_exact_names_lose_the_imagenet_third(raw, study, match, expected):
    labels = common_images(study, raw, match).labels
    found = {
        source: sum(bool(re.fullmatch(spelling, label)) for label in labels)
        for source, spelling in SPELLINGS.items()
    }
    lost = {source: expected[source] - found[source] for source in found}
    # The network's file lacks one Scene or COCO image.
    assert lost["Scene"] + lost["COCO"] == 1
    assert lost["ImageNet"] == 0


def test_seed_and_name_make_the_simulation(tmp_path):
    def model_rdms(folder, seed, name):
        simulate(tmp_path / folder, n_images=30, null_effect=False, seed=seed, name=name)
        with h5py.File(tmp_path / folder / MODEL_FILE) as file:
            return file["dissimilarities"][()]

    first = model_rdms("first", 5, "x")
    np.testing.assert_array_equal(first, model_rdms("again", 5, "x"))
    for folder, seed, name in (("other seed", 6, "x"), ("other name", 5, "y")):
        assert np.abs(np.corrcoef(first[0], model_rdms(folder, seed, name)[0])[0, 1]) < 0.5


@pytest.mark.parametrize("seed", [71001, 71002, 71003, 71004, 71005])
def test_planted_layers_are_recovered(seed, study, tmp_path):
    folder, truth = simulated(tmp_path, null_effect=False, seed=seed)
    assert dict(zip(truth["roi"], truth["planted_layer"], strict=True)) == dict(
        zip(ROIS, PLANTED, strict=True)
    )
    layers, brains, n_images = aligned(study, folder)
    assert n_images == N_IMAGES - 1
    joint = np.mean(list(brains.values()), axis=0)
    similarity = compare(layers, joint, "pearson")
    assert [LAYERS[best] for best in similarity.argmax(axis=0)] == PLANTED


def p_tables(study, folder, seed):
    """Return each subject's p-values of all cells, (5 layers, 10 ROIs)."""
    layers, brains, n_images = aligned(study, folder)
    p = permute_images(
        layers,
        np.concatenate(list(brains.values())),
        "pearson",
        n_images=n_images,
        # The smallest p, 1/1001, times 50 cells is below 0.05: one cell can be enough.
        n_permutations=1000,
        rng=np.random.default_rng(seed),
    ).p
    return np.split(p, len(SUBJECTS), axis=1)


def test_planted_layers_are_significant_in_every_subject(study, tmp_path):
    folder, _ = simulated(tmp_path, null_effect=False, seed=71001)
    planted = [LAYERS.index(layer) for layer in PLANTED]
    for p in p_tables(study, folder, 71001):
        assert (false_discovery_rate(p)[planted, range(len(ROIS))] < 0.05).all()


@pytest.mark.slow
def test_nothing_is_found_in_the_null_simulation(study, tmp_path):
    """A subject's table holds a q < 0.05 with probability 0.05 at most: all its cells are null.

    The seeds are independent; the subjects of one seed share a geometry and are not. Hence the
    count of each subject over 10 seeds is binomial(10, 0.05) at most, which exceeds its 99.99 %
    point, 4 tables, with probability below 0.0001. The mean p over the cells of a seed has the
    expectation 1/2, however much the cells depend on one another.
    """
    seeds = range(71001, 71011)
    found, mean_p = np.zeros(len(SUBJECTS), dtype=int), []
    for seed in seeds:
        folder, truth = simulated(tmp_path / str(seed), null_effect=True, seed=seed)
        assert set(truth["planted_layer"]) == {"none"}
        tables = p_tables(study, folder, seed)
        found += [(false_discovery_rate(p) < 0.05).any() for p in tables]
        mean_p.append(np.mean(tables))
    bound = scipy.stats.binom.ppf(0.9999, len(seeds), 0.05)
    assert bound == 4
    assert found.max() <= bound
    assert scipy.stats.ttest_1samp(mean_p, 0.5).pvalue > 1e-3
