"""Maps of occlusion against other maps and the planted truth: brute force, scipy, known cases."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from scripts.emotions.maps.compare_occlusion import (
    correlation,
    emotion_means,
    occlusion_maps,
    tabulate_checks,
    tabulate_top_voxels,
)
from scripts.emotions.maps.cubes import cube_corners
from scripts.emotions.maps.occlusion_file import Occlusions

CLASSES = ("FEAR", "LOVE", "SADNESS")
SHAPE = (6, 6, 4)
MASK = np.ones(SHAPE, bool)
MASK[0, 0] = MASK[5, 5] = False
CORNERS = cube_corners(MASK, 2, 2)


def occlusions(drops, subjects, *, gradients=None, shuffled=None, mask=MASK, corners=CORNERS):
    """Return volumes of each class in turn, `drops` (n_volumes, n_cubes)."""
    codes = np.arange(len(drops)) % len(CLASSES)
    table = pd.DataFrame(
        {
            "emotion": np.array(CLASSES)[codes],
            "code": codes,
            "subject": subjects,
            "row": np.arange(len(drops)),
            "fold": 0,
            "probability": np.linspace(0.5, 0.9, len(drops)),
            "status": ["probable", "right", "wrong"] * (len(drops) // 3),
        }
    )
    voxels = np.zeros((len(drops), int(mask.sum())))
    return Occlusions(
        table=table,
        drops=drops,
        gradients=voxels if gradients is None else gradients,
        shuffled_drops=drops[::-1] if shuffled is None else shuffled,
        corners=corners,
        edge=2,
        mask=mask,
        affine=np.diag([-3.0, 3.0, 4.0, 1.0]),
        n_confident=np.array([4, 0, 3]),
        n_confident_right=np.array([1, 0, 3]),
        classes=CLASSES,
        subjects=("01", "02"),
        model="cnn",
        split="run",
    )


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    drops = rng.standard_normal((12, len(CORNERS)))
    return occlusions(drops, np.arange(12) // 6)


def test_maps_are_means_over_the_volumes_of_an_emotion(found):
    means = emotion_means(found, found.drops)
    np.testing.assert_allclose(means[1], (found.drops[[1, 4, 7, 10]]).mean(axis=0))
    maps = occlusion_maps(found, found.drops)
    place = np.flatnonzero((np.argwhere(MASK) == [2, 3, 1]).all(axis=1))
    cube = np.flatnonzero((CORNERS == [2, 2, 0]).all(axis=1))
    np.testing.assert_allclose(maps[:, place], means[:, cube])


def test_correlations_between_subjects_are_those_of_a_loop(found):
    checks = tabulate_checks(found).set_index("emotion")
    means = {
        (subject, code): found.drops[
            (found.table["subject"] == subject) & (found.table["code"] == code)
        ].mean(axis=0)
        for subject, code in product(range(2), range(3))
    }
    for code, emotion in enumerate(CLASSES):
        same = spearmanr(means[0, code], means[1, code]).statistic
        others = [
            spearmanr(means[a, code], means[1 - a, other]).statistic
            for a, other in product(range(2), range(3))
            if other != code
        ]
        assert checks.loc[emotion, "r_subjects"] == pytest.approx(same)
        assert checks.loc[emotion, "r_subjects_other"] == pytest.approx(np.mean(others))


def test_maps_that_say_the_same_correlate_fully(found):
    """Gradients that add up to the drop of their cube, and a network that was not shuffled."""
    number = np.zeros(SHAPE, int)
    for place, (x, y, z) in enumerate(CORNERS):
        number[x : x + 2, y : y + 2, z : z + 2] = place
    counts = np.bincount(number[MASK])
    gradients = (found.drops / counts)[:, number[MASK]]
    same = occlusions(
        found.drops, np.zeros(12, int), gradients=gradients, shuffled=found.drops.copy()
    )
    checks = tabulate_checks(same)
    np.testing.assert_allclose(checks[["r_gradients", "r_shuffled"]], 1)
    assert checks["r_subjects"].isna().all()
    assert (checks["n_subjects"] == 1).all()


def test_volumes_are_counted_by_why_they_were_chosen(found):
    checks = tabulate_checks(found).set_index("emotion")
    counts = checks.loc["LOVE", ["n", "n_probable", "n_right", "n_wrong"]].tolist()
    assert counts == [4, 0, 4, 0]
    expected = found.table.loc[found.table["emotion"] == "LOVE", "probability"].mean()
    assert checks.loc["LOVE", "probability"] == pytest.approx(expected)
    np.testing.assert_array_equal(checks["n_confident"], [4, 0, 3])
    np.testing.assert_array_equal(checks["share_right"], [0.25, np.nan, 1])


def test_a_map_without_differences_has_no_correlation():
    assert np.isnan(correlation(np.zeros(5), np.arange(5.0)))


def test_top_voxels_are_ordered_and_placed_in_mm():
    values = np.zeros((2, MASK.sum()))
    voxels = np.argwhere(MASK)
    values[0, [5, 9, 30]] = 0.1, 0.3, 0.2
    affine = np.diag([-3.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = 10, 20, 30
    top = tabulate_top_voxels(values, MASK, affine, CLASSES[:2], n_top=2)
    assert top["emotion"].tolist() == ["FEAR", "FEAR"]
    assert top["rank"].tolist() == [1, 2]
    assert top[["i", "j", "k"]].to_numpy().tolist() == voxels[[9, 30]].tolist()
    expected = voxels[9] * [-3, 3, 4] + [10, 20, 30]
    np.testing.assert_allclose(top.loc[0, ["x", "y", "z"]].astype(float), expected)
    assert top["drop"].tolist() == [0.3, 0.2]


def test_top_voxels_are_few_of_a_small_brain():
    values = np.random.default_rng(0).uniform(1, 2, (1, MASK.sum()))
    top = tabulate_top_voxels(values, MASK, np.eye(4), CLASSES[:1], n_top=500)
    assert len(top) == np.ceil(0.05 * MASK.sum())
    assert top["drop"].min() == np.sort(values[0])[-len(top)]
