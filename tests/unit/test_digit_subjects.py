"""Simulated subjects: planted geometries, found again by searchlight maps; null ones are not."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import yaml
from scipy.spatial.distance import pdist, squareform

from scripts.digits.codes.model_names import CODE_MODEL, NETWORK_MODEL
from scripts.digits.data import simulate_digit_subjects
from scripts.digits.data.planted import REGIONS, SUBJECTS
from scripts.digits.data.simulate_digit_subjects import (
    AFFINE,
    GRID,
    N_RUNS,
    RADIUS,
    brain_mask,
    planted_moments,
    region_masks,
    second_moments,
    simulate,
    simulate_betas,
    truth_table,
)
from scripts.digits.regions.check_map_recovery import check_map_recovery, within_reach
from workflow.lib.errors import InputError
from workflow.lib.nifti.maps import BrainMaps
from workflow.lib.patterns.rdms import extract_patterns
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.searchlight.similarity import prepared_models, similarity_maps
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.searchlight.statistics import fisher_z, label_permutation_test, map_sign_flip_test

ROOT = Path(__file__).parents[2]
CATEGORIES = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("bed", "bird", "cat", "dog", "house", "tree"),
]
LAYERS = [
    *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
    *("conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3", "fc6", "fc8"),
]
LAYER_GROUPS = {
    **{"initial": LAYERS[:4], "middle": LAYERS[4:10]},
    **{"later": LAYERS[10:13], "FC": LAYERS[13:]},
}
# A sphere reaches this far from its centre, in voxels.
SPHERE = 3
UNSEEN_SEEDS = (101, 102, 103, 104, 105)
NULL_SEEDS, PLANTED_SEEDS = range(201, 225), range(301, 313)


def layer_rdms(seed):
    """RDMs of 15 layers whose geometry drifts from one set of features over a second to a third.

    All share the difference of digits and objects, as layers do: neighbours correlate at 0.98, the
    first and last at about 0.7.
    """
    rng = np.random.default_rng(seed)
    kinds = np.repeat([[1.0], [-1.0]], [10, 6], axis=0)
    ends = rng.standard_normal((3, 16, 12))
    places = np.linspace(0, 2, len(LAYERS))
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(3)))
    features = [np.hstack([2 * kinds, np.tensordot(w, ends, 1)]) for w in weights]
    return np.stack([pdist(of_layer, "cosine") for of_layer in features])


def code_rdm(first, second):
    return pdist(np.array([[n in first, n in second] for n in CATEGORIES], float), _differ)


def _differ(one, other):
    return float((one[0] and other[1]) or (one[1] and other[0]))


CODES = {
    "Versus": code_rdm(CATEGORIES[:10], CATEGORIES[10:]),
    "Animacy": code_rdm(["house", "tree", "bed"], ["bird", "cat", "dog"]),
}


def model_stores(folder, seed=0):
    stores = []
    for model, rows in (
        ("vgg", dict(zip(LAYERS, layer_rdms(seed), strict=True))),
        ("codes", CODES),
    ):
        write_rdms(
            folder / f"{model}.h5",
            [({"layer": layer}, vector) for layer, vector in rows.items()],
            names=CATEGORIES,
            measure="cosine",
            descriptors={"study": "s", "model": model},
        )
        stores.append(RDMStore(folder / f"{model}.h5"))
    return stores


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return model_stores(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def models(stores):
    return np.concatenate([store.vectors() for store in stores]).astype(float)


ROWS = {name: [*LAYERS, *CODES].index(region.layer) for name, region in REGIONS.items()}
MASK = brain_mask()


def searchlight(betas):
    patterns = betas[MASK].T.reshape(N_RUNS, len(CATEGORIES), -1).mean(axis=0)
    return Searchlight(
        patterns, np.argwhere(MASK), mask=MASK, affine=AFFINE, radius=SPHERE, min_voxels=20
    )


# Geometry.


def test_layers_of_the_tests_are_alike_as_those_of_a_network():
    between = scipy.stats.spearmanr(layer_rdms(0).T).statistic
    assert np.diagonal(between, 1).min() > 0.95
    assert 0.5 < between[0, -1] < 0.85


def test_patterns_of_a_layer_are_planted_as_they_are():
    features = np.random.default_rng(0).standard_normal((16, 5))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(second_moments(pdist(features, "cosine")), unit @ unit.T, atol=1e-6)


@pytest.mark.parametrize("code", CODES)
def test_pairs_that_a_code_tells_apart_are_farther_apart_than_all_others(code):
    moments = second_moments(CODES[code])
    assert np.linalg.eigvalsh(moments)[0] > -1e-9
    np.testing.assert_allclose(np.diagonal(moments), 1)
    distances = squareform(1 - moments, checks=False)
    assert distances[CODES[code] == 1].min() > distances[CODES[code] == 0].max() + 0.3


def test_responses_of_a_region_have_its_geometry(stores, models, monkeypatch):
    """Without noise, the mean RDM over subjects is the planted one but for sampling."""
    monkeypatch.setattr(simulate_digit_subjects, "NOISE", 0.0)
    monkeypatch.setattr(simulate_digit_subjects, "BLUR", 1e-6)
    moments = planted_moments(stores)
    subjects = [
        simulate_betas(moments, np.random.default_rng(seed), null_effect=False)
        for seed in range(20)
    ]
    for name, mask in region_masks().items():
        rdms = [pdist(betas[mask].T[: len(CATEGORIES)], "correlation") for betas in subjects]
        found = scipy.stats.spearmanr(np.mean(rdms, axis=0), models.T).statistic[0, 1:]
        assert found.argmax() == ROWS[name]
        assert found.max() > (0.95 if ROWS[name] < len(LAYERS) else 0.4)
    outside = ~np.any(list(region_masks().values()), axis=0)
    assert not subjects[0][outside].any()


def test_regions_lie_in_the_brain_and_apart():
    masks = region_masks()
    assert all((mask <= MASK).all() for mask in masks.values())
    assert np.sum(list(masks.values()), axis=0).max() == 1
    centres = np.array([region.centre for region in REGIONS.values()])
    # A sphere around the middle of one holds no voxel of another.
    assert pdist(centres).min() > RADIUS + SPHERE


def test_a_layer_that_the_network_lacks_is_named(stores, tmp_path):
    write_rdms(
        tmp_path / "model_vgg.h5",
        [({"layer": "conv1_2"}, models_vector) for models_vector in layer_rdms(0)[:1]],
        names=CATEGORIES,
        measure="cosine",
        descriptors={"model": "vgg"},
    )
    message = "model_vgg.h5: found conv1_2, expected 'conv4_2' among them for the planted region"
    with pytest.raises(InputError, match=message):
        planted_moments([RDMStore(tmp_path / "model_vgg.h5"), stores[1]])


def test_the_config_reads_the_regions_and_models_that_are_planted():
    study = yaml.safe_load((ROOT / "config/config.yaml").read_text())["rsa"]["digits"]
    assert study["brain"]["rois"]["names"] == {name: f"region_{name}.nii.gz" for name in REGIONS}
    assert tuple(study["brain"]["subjects"]["names"]) == SUBJECTS
    made = {name: model["layers"] for name, model in study["models"].items() if model.get("made")}
    assert list(made) == [NETWORK_MODEL, CODE_MODEL]
    assert all(region.layer in made[region.model] for region in REGIONS.values())


# Files.


def test_files_are_read_as_patterns_of_categories_in_runs(stores, tmp_path, monkeypatch):
    monkeypatch.setattr(simulate_digit_subjects, "SUBJECTS", ("01",))
    truth = simulate(tmp_path, stores, null_effect=False, seed=1, name="digits")
    source = {
        "data": "patterns",
        "files": "sub-{subject}_betas.nii.gz",
        "subjects": {"names": ["01"], "from": "file_name"},
        "rois": {"names": {name: f"region_{name}.nii.gz" for name in REGIONS}, "from": "mask"},
        "observations": {"file": "observations.csv", "condition": "condition", "run": "run"},
        "conditions": {"from": "stored"},
    }
    patterns = extract_patterns(
        source,
        tmp_path,
        "01",
        match="exact",
        detrend=False,
        standardise="none",
        remove_mean_pattern=False,
    )
    late = patterns["late"]
    assert late.conditions == CATEGORIES * N_RUNS
    assert late.runs == [str(run) for run in (1, 2, 3, 4) for _ in CATEGORIES]
    labels = nibabel.load(tmp_path / "truth.nii.gz").get_fdata()
    for row in truth.itertuples():
        assert (
            (labels == row.label).sum() == row.n_voxels == len(patterns[row.region].channels["x"])
        )
    assert labels.shape == GRID
    # A category resembles itself in another run more than the others.
    first, second = late.measurements.reshape(N_RUNS, len(CATEGORIES), -1)[:2]
    between = np.corrcoef(first, second)[:16, 16:]
    assert np.diagonal(between).mean() > between.mean() + 0.05


def test_subjects_and_simulations_differ_and_seeds_repeat(stores, tmp_path, monkeypatch):
    monkeypatch.setattr(simulate_digit_subjects, "SUBJECTS", SUBJECTS[:2])

    def betas(folder, name, subject):
        simulate(tmp_path / folder, stores, null_effect=False, seed=1, name=name)
        return nibabel.load(tmp_path / folder / f"sub-{subject}_betas.nii.gz").get_fdata()[MASK]

    first = betas("a", "digits", "01")
    np.testing.assert_array_equal(first, betas("b", "digits", "01"))
    for other in (betas("a", "digits", "02"), betas("a", "other", "01")):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.1


def test_null_truth_says_that_nothing_is_planted(stores, tmp_path, monkeypatch):
    monkeypatch.setattr(simulate_digit_subjects, "SUBJECTS", ())
    truth = simulate(tmp_path, stores, null_effect=True, seed=1, name="null")
    assert set(truth["planted_layer"]) == set(truth["planted_model"]) == {"none"}


# Recovery and nulls, at seeds that no parameter was chosen with.


def maps_of_group(moments, models, seed, *, null_effect):
    """Fisher's z of every model in every subject, (n_subjects, n_models, n_centres)."""
    prepared = prepared_models(models, "spearman")
    lights = [
        searchlight(
            simulate_betas(moments, np.random.default_rng([seed, i]), null_effect=null_effect)
        )
        for i in range(len(SUBJECTS))
    ]
    maps = [similarity_maps(light, prepared, "spearman") for light in lights]
    return lights, np.stack(maps)


def as_maps(values):
    """Maps at the voxels of the brain as they are read from a file."""
    volumes = np.full((len(values), *GRID), np.nan)
    volumes[:, MASK] = values
    return BrainMaps(Path("maps.nii.gz"), volumes, AFFINE)


def labelled_regions():
    masks = region_masks().values()
    labels = sum(label * mask for label, mask in enumerate(masks, 1)).astype(float)
    return BrainMaps(Path("truth.nii.gz"), labels[np.newaxis], AFFINE)


@pytest.mark.parametrize("seed", UNSEEN_SEEDS)
def test_maps_of_the_group_recover_the_planted_regions(tmp_path, seed):
    stores = model_stores(tmp_path, seed)
    models = np.concatenate([store.vectors() for store in stores]).astype(float)
    _, maps = maps_of_group(planted_moments(stores), models, seed, null_effect=False)
    z = fisher_z(maps)
    found = map_sign_flip_test(z, MASK, n_flips=256, rng=np.random.default_rng(0))
    table = ModelLayers(stores).table.assign(volume=range(len(models)), alpha=0.05)
    recovery = check_map_recovery(
        truth_table(null_effect=False),
        labelled_regions(),
        as_maps(z.mean(axis=0)),
        as_maps(found.test.p_tfce),
        table,
        groups={"vgg": LAYER_GROUPS},
        radius=SPHERE,
        unit="voxel",
    ).set_index("region")
    assert (recovery["sensitivity"] > 0.9).all()
    assert (recovery["in_group"] > 0.6).all()
    assert recovery["in_group"].mean() > 0.8
    # All layers tell digits from objects: that code is found, and the best, in their regions too.
    assert (recovery["overlap_reach"].drop("versus") > 0.45).all()
    assert recovery["overlap_reach"].drop("versus").mean() > 0.6
    # The region itself is found far better than by calling all of the brain significant.
    of_brain = 2 * recovery["n_voxels"] / (recovery["n_voxels"] + MASK.sum())
    assert (recovery["overlap"] > 4 * of_brain).drop("versus").all()
    assert (recovery["peak_mm"] <= 6).all()


@pytest.fixture(scope="module")
def two_models(models):
    """A layer and a code, whose maps are tested each by itself."""
    return models[[ROWS["early"], ROWS["animacy"]]]


@pytest.mark.slow
def test_null_subjects_are_found_at_the_nominal_rate(stores, two_models):
    """40 subjects, each once per model: within the central 99.9 % of the binomial at 0.05."""
    prepared = prepared_models(two_models, "spearman")
    n_found = np.zeros(len(two_models), int)
    for seed in UNSEEN_SEEDS:
        lights, maps = maps_of_group(planted_moments(stores), two_models, seed, null_effect=True)
        for i, (light, observed) in enumerate(zip(lights, maps, strict=True)):
            test = label_permutation_test(
                light,
                prepared,
                "spearman",
                observed=observed,
                n_permutations=39,
                rng=np.random.default_rng([seed, i]),
                connectivity=None,
            )
            n_found += np.nanmin(test.p_max, axis=1) <= 0.05
    low, high = scipy.stats.binom.interval(0.999, len(SUBJECTS) * len(UNSEEN_SEEDS), 0.05)
    assert ((low <= n_found) & (n_found <= high)).all()


def significant_maps(stores, models, seed, *, null_effect):
    """Where the maps of a group are significant by TFCE, bool (n_models, x, y, z)."""
    _, maps = maps_of_group(planted_moments(stores), models, seed, null_effect=null_effect)
    found = map_sign_flip_test(fisher_z(maps), MASK, n_flips=256, rng=np.random.default_rng(0))
    return as_maps(found.test.p_tfce).values <= 0.05


@pytest.mark.slow
def test_null_groups_have_significant_voxels_in_few_maps(stores, two_models):
    """One decision per group and model, whether anything is found, bounded for each model."""
    maps = [significant_maps(stores, two_models, s, null_effect=True) for s in NULL_SEEDS]
    n_false = np.any(maps, axis=(2, 3, 4)).sum(axis=0)
    assert (n_false <= scipy.stats.binom.ppf(0.999, len(NULL_SEEDS), 0.05)).all()


@pytest.mark.slow
def test_planted_groups_have_false_clusters_in_few_maps(stores, two_models):
    """Clusters that touch no sphere which holds some of a region, one decision per group and model.

    TFCE lets true clusters spread: the voxels beyond a region that hang together with one that is
    found are no false cluster.
    """
    reach = np.any([within_reach(m, AFFINE, SPHERE, "voxel") for m in region_masks().values()], 0)
    n_false = np.zeros(len(two_models), int)
    for seed in PLANTED_SEEDS:
        for number, found in enumerate(
            significant_maps(stores, two_models, seed, null_effect=False)
        ):
            labels, n_clusters = scipy.ndimage.label(found)
            touching = np.setdiff1d(labels[reach], [0])
            assert touching.size
            n_false[number] += touching.size < n_clusters
    assert (n_false <= scipy.stats.binom.ppf(0.999, len(PLANTED_SEEDS), 0.05)).all()


def test_reach_of_a_region_by_hand():
    """Of one voxel: the sphere around it; at the border of the grid, what of it is on the grid."""
    region = np.zeros((5, 5, 5), bool)
    region[2, 2, 2] = True
    assert within_reach(region, np.eye(4), 1, "voxel").sum() == 7
    region = np.zeros((5, 5, 5), bool)
    region[0, 0, 0] = True
    assert within_reach(region, np.eye(4), 1, "voxel").sum() == 4
