"""Maps of occlusion against other maps and the planted truth: brute force, scipy, known cases."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from scripts.emotions.compare_occlusion import (
    ALL,
    correlation,
    emotion_means,
    occlusion_maps,
    tabulate_checks,
    tabulate_recovery,
    tabulate_top_voxels,
    truth_of,
)
from scripts.emotions.cubes import cube_corners
from scripts.emotions.occlusion_file import Occlusions
from scripts.emotions.planted import GRID, REGIONS, brain_mask
from workflow.lib.errors import InputError

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


# Planted voxels.


def planted(strength, seed=0):
    """Return truth (3, 90), three regions that overlap, and maps of it with noise."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((3, 90), bool)
    for code in range(3):
        truth[code, 12 * code : 12 * code + 18] = True
    return truth, strength * truth + rng.standard_normal(truth.shape)


def area(values, region):
    """Return how often a planted voxel has a larger value than another, ties by half."""
    pairs = values[region][:, None] - values[~region]
    return (np.sign(pairs).mean() + 1) / 2


def test_areas_are_shares_of_pairs_and_orders_are_all_tried():
    truth, maps = planted(0.5)
    table = tabulate_recovery({"a": maps}, truth, CLASSES).set_index("emotion")
    areas = np.array([[area(values, region) for region in truth] for values in maps])
    np.testing.assert_allclose(table.loc[list(CLASSES), "auc"], np.diag(areas))
    np.testing.assert_allclose(
        table.loc[list(CLASSES), "auc_other"],
        [areas[[1, 2], 0].mean(), areas[[0, 2], 1].mean(), areas[[0, 1], 2].mean()],
    )
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    sums = [sum(areas[one, place] for place, one in enumerate(order)) for order in orders]
    assert table.loc[ALL, "p"] == pytest.approx(np.mean(np.array(sums) >= sums[0] - 1e-12))
    assert table.loc[ALL, "auc"] == pytest.approx(np.diag(areas).mean())


def test_what_is_planted_clearly_is_found_wholly():
    truth, maps = planted(20)
    table = tabulate_recovery({"a": maps}, truth, CLASSES).set_index("emotion")
    np.testing.assert_allclose(table["auc"], 1)
    np.testing.assert_allclose(table["dice"], 1)
    np.testing.assert_allclose(table["dice_chance"], 18 / 90)
    assert table.loc[ALL, "p"] == pytest.approx(1 / 6)


def test_noise_finds_as_much_as_a_guess():
    tables = [
        tabulate_recovery({"a": planted(0, seed)[1]}, planted(0)[0], CLASSES) for seed in range(100)
    ]
    rows = pd.concat(tables).query("emotion == @ALL")
    assert rows["auc"].mean() == pytest.approx(0.5, abs=0.02)
    assert rows["dice"].mean() == pytest.approx(18 / 90, abs=0.02)
    # p of a discrete test is at most as often small as it says.
    assert (rows["p"] <= 1 / 6).mean() <= 1 / 6 + 2 * np.sqrt(5 / 36 / 100)


def test_voxels_that_were_not_covered_count_as_lowest():
    truth, maps = planted(5)
    gaps = maps.copy()
    gaps[:, 60:] = np.nan
    lowest = np.where(np.isnan(gaps), -100, maps)
    for column in ("auc", "dice"):
        np.testing.assert_allclose(
            tabulate_recovery({"a": gaps}, truth, CLASSES)[column],
            tabulate_recovery({"a": lowest}, truth, CLASSES)[column],
        )


def test_truth_is_that_of_the_simulation(found):
    mask = brain_mask()
    of_brain = occlusions(found.drops, np.zeros(12, int), mask=mask)
    truth = truth_of(of_brain)
    for code, emotion in enumerate(CLASSES):
        voxels = np.zeros(GRID, bool)
        voxels[mask] = truth[code]
        centres = [region.centre for region in REGIONS.values() if emotion in region.emotions]
        assert all(voxels[centre] for centre in centres)
        others = [region.centre for region in REGIONS.values() if emotion not in region.emotions]
        assert not any(voxels[centre] for centre in others)


def test_other_grids_and_masks_without_regions_are_refused(found):
    with pytest.raises(InputError, match=r"found a grid of \(6, 6, 4\) voxels, expected"):
        truth_of(found)
    corner = np.zeros(GRID, bool)
    corner[0, 0, 0] = True
    with pytest.raises(InputError, match="no voxel of the mask that responds to FEAR"):
        truth_of(occlusions(found.drops, np.zeros(12, int), mask=corner))
