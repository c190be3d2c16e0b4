"""Recovery of what was planted: brute force, known cases, and what files say of the truth."""

import itertools

import nibabel
import numpy as np
import pandas as pd
import pytest

from scripts.emotions.data.planted import AFFINE, GRID, REGIONS, brain_mask, region_masks
from scripts.emotions.data.simulate_movie import truth_table
from scripts.emotions.maps.occlusion_recovery import (
    ALL,
    NOT_PLANTED,
    OWN,
    SHARED,
    Planted,
    read_planted,
    tabulate_recovery,
)
from workflow.lib.errors import InputError

CLASSES = ("FEAR", "LOVE", "SADNESS")


def planted(strength, seed=0):
    """Return regions (3, 90) that overlap, and maps of them with noise."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((3, 90), bool)
    for code in range(3):
        truth[code, 12 * code : 12 * code + 18] = True
    own = truth & (truth.sum(axis=0) == 1)
    return Planted(own, truth & ~own), strength * truth + rng.standard_normal(truth.shape)


def recovery(maps, truth):
    return tabulate_recovery({"a": maps}, truth, CLASSES, np.random.default_rng(0))


def area(values, region, compared=None):
    """Return how often a planted voxel has a larger value than another, ties by half."""
    others = ~region if compared is None else compared
    return (np.sign(values[region][:, None] - values[others]).mean() + 1) / 2


def test_areas_are_shares_of_pairs_and_orders_are_all_tried():
    truth, maps = planted(0.5)
    table = recovery(maps, truth).set_index("emotion")
    areas = np.array([[area(values, region) for region in truth.all] for values in maps])
    own = np.array(
        [
            [area(values, one, ~region) for one, region in zip(truth.own, truth.all, strict=True)]
            for values in maps
        ]
    )
    for column, expected in (("auc", areas), ("auc_own", own)):
        np.testing.assert_allclose(table.loc[list(CLASSES), column], np.diag(expected))
        np.testing.assert_allclose(
            table.loc[list(CLASSES), f"{column}_other"],
            [expected[[1, 2], 0].mean(), expected[[0, 2], 1].mean(), expected[[0, 1], 2].mean()],
        )
        assert table.loc[ALL, column] == pytest.approx(np.diag(expected).mean())
    orders = itertools.permutations(range(3))
    sums = np.array([sum(own[one, place] for place, one in enumerate(order)) for order in orders])
    assert table.loc[ALL, "p"] == pytest.approx(np.mean(sums >= np.trace(own) - 1e-12))
    np.testing.assert_array_equal(table["n_own"].iloc[:3], [12, 6, 12])


def test_what_is_planted_clearly_is_found_wholly():
    truth, maps = planted(20)
    table = recovery(maps, truth).set_index("emotion")
    for column in ("auc", "auc_own", "dice"):
        np.testing.assert_allclose(table[column], 1)
    np.testing.assert_allclose(table["dice_chance"], 18 / 90)
    assert table.loc[ALL, "p"] == pytest.approx(1 / 6)


def test_a_map_that_does_without_shared_voxels_finds_its_own():
    truth, maps = planted(0)
    table = recovery(maps + 20 * truth.own, truth).set_index("emotion")
    np.testing.assert_allclose(table["auc_own"], 1)
    assert (table["auc"] < 1).all()
    assert table.loc[ALL, "p"] == pytest.approx(1 / 6)


@pytest.mark.slow
def test_noise_finds_as_much_as_a_guess():
    tables = [recovery(planted(0, seed)[1], planted(0)[0]) for seed in range(100)]
    rows = pd.concat(tables).query("emotion == @ALL")
    assert rows["auc"].mean() == pytest.approx(0.5, abs=0.02)
    assert rows["auc_own"].mean() == pytest.approx(0.5, abs=0.02)
    assert rows["dice"].mean() == pytest.approx(18 / 90, abs=0.02)
    # p of a discrete test is at most as often small as it says.
    assert (rows["p"] <= 1 / 6).mean() <= 1 / 6 + 2 * np.sqrt(5 / 36 / 100)


def test_voxels_that_were_not_covered_count_as_lowest():
    truth, maps = planted(5)
    gaps = maps.copy()
    gaps[:, 60:] = np.nan
    lowest = np.where(np.isnan(gaps), -100, maps)
    for column in ("auc", "auc_own", "dice"):
        np.testing.assert_allclose(recovery(gaps, truth)[column], recovery(lowest, truth)[column])


def test_many_emotions_are_tested_by_a_sample_of_their_orders():
    """All orders of eleven are 40 million."""
    own = np.eye(11, 44, dtype=bool)
    emotions = [f"E{number}" for number in range(11)]
    truth = Planted(own, np.zeros_like(own))
    table = tabulate_recovery({"a": 1.0 * own}, truth, emotions, np.random.default_rng(0))
    assert table["p"].iloc[-1] == pytest.approx(1 / 5041)


# Files of the truth.


def read(folder, *, emotions=CLASSES, mask=None, affine=AFFINE, null_effect=False):
    truth_table(emotions, null_effect=null_effect).to_csv(folder / "truth.csv", index=False)
    numbers = sum(number * mask for number, mask in enumerate(region_masks().values(), 1))
    image = nibabel.Nifti1Image(numbers.astype(np.uint8), AFFINE)
    nibabel.save(image, folder / "truth.nii.gz")
    mask = brain_mask() if mask is None else mask
    return read_planted(
        folder / "truth.csv", folder / "truth.nii.gz", mask=mask, affine=affine, emotions=emotions
    )


@pytest.mark.parametrize("null_effect", [False, True])
def test_truth_is_that_of_the_simulation(tmp_path, null_effect):
    mask = brain_mask()
    found = read(tmp_path, null_effect=null_effect)
    assert found.effect is not null_effect
    for code, emotion in enumerate(CLASSES):
        voxels = np.zeros(GRID)
        voxels[mask] = found.maps()[code]
        for name, region in REGIONS.items():
            # Of these three emotions, no other responds where fear and anger do.
            shown = set(region.emotions) & set(CLASSES)
            alone = OWN if len(shown) == 1 else SHARED
            expected = alone if emotion in shown else NOT_PLANTED
            assert set(voxels[region_masks()[name]]) == {expected}
        assert (voxels > 0).sum() == found.all[code].sum()


def test_other_grids_and_masks_without_regions_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"found \(16, 18, 14\) voxels, expected \(6, 6, 4\)"):
        read(tmp_path, mask=np.ones((6, 6, 4), bool))
    with pytest.raises(InputError, match="found the affine"):
        read(tmp_path, affine=np.diag([6.0, 6.0, 6.0, 1.0]))
    corner = np.zeros(GRID, bool)
    corner[0, 0, 0] = True
    with pytest.raises(InputError, match="no voxel of the mask that responds to FEAR alone"):
        read(tmp_path, mask=corner)
