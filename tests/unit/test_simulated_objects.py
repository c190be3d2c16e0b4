"""The simulated study of objects holds the effects that it says it plants, and only these."""

import numpy as np
import pytest

from scripts.objects.simulate_objects import PLANTED_MODEL, SUBJECTS, simulate
from workflow.lib.features.controls import control_features
from workflow.lib.features.stimuli import open_stimuli
from workflow.lib.image_groups import group_rdm
from workflow.lib.inference.permutation import permute_images
from workflow.lib.rdms.distances import pattern_distances
from workflow.lib.rdms.stimulus_rdms import feature_distances
from workflow.lib.rsa.comparators import compare

N_IMAGES = 48
STIMULI = {
    "files": "images.npz",
    "key": "images",
    "field": None,
    "conditions": {"from": "stored", "key": "names"},
}
MODELS = ("pixel", "gabor", "colour_histogram", "groups")
# Used by nobody while the simulation was written.
UNSEEN_SEEDS = (81001, 81002, 81003, 81004, 81005)


def model_rdms(folder) -> np.ndarray:
    """Return the RDMs of the control models, (n_models, n_pairs)."""
    stimuli = open_stimuli(folder, STIMULI)
    kinds = ["_".join(name.split("_")[:2]) for name in stimuli.names]
    return np.stack(
        [
            group_rdm(kinds)
            if model == "groups"
            else feature_distances(control_features(model, stimuli), "correlation")
            for model in MODELS
        ]
    )


def brain_rdm(folder, roi: str) -> np.ndarray:
    """Return the mean RDM over subjects of the mean responses over runs, (n_pairs,)."""
    rdms = []
    for subject in SUBJECTS:
        with np.load(folder / f"{subject}_responses.npz") as saved:
            runs = saved[roi].reshape(2, N_IMAGES, -1)
        rdms.append(pattern_distances(runs.mean(axis=0), "correlation"))
    return np.mean(rdms, axis=0)


@pytest.mark.parametrize("seed", UNSEEN_SEEDS)
def test_planted_model_is_the_most_similar_one(tmp_path, seed):
    truth = simulate(tmp_path, n_images=N_IMAGES, null_effect=False, seed=seed, name="test")
    assert dict(zip(truth["roi"], truth["planted_model"], strict=True)) == PLANTED_MODEL
    models = model_rdms(tmp_path)
    for roi, planted in PLANTED_MODEL.items():
        similarity = compare(models, brain_rdm(tmp_path, roi), "spearman")[:, 0]
        assert MODELS[int(similarity.argmax())] == planted, dict(
            zip(MODELS, similarity, strict=True)
        )


@pytest.mark.slow
def test_null_simulation_shows_no_more_than_chance(tmp_path):
    """40 tests, 5 seeds x 4 models x 2 ROIs: p <= 0.01 at most 3 times (binomial, 99.9 %)."""
    reached = 0
    for seed in UNSEEN_SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        simulate(folder, n_images=N_IMAGES, null_effect=True, seed=seed, name="test")
        brain = np.stack([brain_rdm(folder, roi) for roi in PLANTED_MODEL])
        p = permute_images(
            model_rdms(folder),
            brain,
            "spearman",
            n_images=N_IMAGES,
            n_permutations=199,
            rng=np.random.default_rng(seed),
        ).p
        reached += int((p <= 0.01).sum())
    assert reached <= 3
