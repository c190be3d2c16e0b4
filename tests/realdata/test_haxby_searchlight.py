"""The searchlight of the Haxby slice, as `make real` runs it.

Raw files: github.com/PyMVPA/PyMVPA, mvpa2/data: 1,452 volumes, 530 voxels, 8 categories, 12 runs.
"""

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.signal import detrend
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from tests.checkout import copy_of_repository

pytestmark = [pytest.mark.realdata, pytest.mark.slow, pytest.mark.xdist_group("workflow")]

GROUPS = {
    **{"face": "animate", "cat": "animate", "house": "house", "scrambledpix": "scrambled"},
    **{"bottle": "small", "scissors": "small", "shoe": "small", "chair": "small"},
}
RADIUS = 10


@pytest.fixture(scope="module")
def folder(mirror):
    if not (mirror / "haxby_slice").is_dir():
        pytest.skip(f"no folder haxby_slice among the real raw files at {mirror}")
    return mirror / "haxby_slice"


@pytest.fixture(scope="module")
def results(folder, tmp_path_factory):
    """The results of the searchlight of the study in config/real.yaml."""
    copy = copy_of_repository(tmp_path_factory.mktemp("haxby"))
    copy.snakemake(
        "results/real/haxby_slice/figures/searchlight_1_categories.png",
        *("--configfile", "config/real.yaml", "--config", f"mirror={folder.parent}"),
    )
    return copy.folder / "results/real/haxby_slice"


def independent_means(folder):
    """Return category patterns (8, 530), voxel indices and affine, with scipy and nibabel alone."""
    mask = nibabel.load(folder / "mask.nii.gz")
    inside = mask.get_fdata().reshape(40, 20, 1) != 0
    bold = nibabel.load(folder / "bold.nii.gz").get_fdata().reshape(40, 20, 1, -1)[inside].T
    labels = pd.read_csv(folder / "attributes_literal.txt", sep=r"\s+", header=None)
    prepared = np.empty_like(bold)
    for run in labels[1].unique():
        rows = (labels[1] == run).to_numpy()
        flat = detrend(bold[rows], axis=0)
        prepared[rows] = flat / flat.std(axis=0, ddof=1)
    means = np.stack([prepared[(labels[0] == name).to_numpy()].mean(axis=0) for name in GROUPS])
    # Every run shows every category equally often: the mean pattern of runs is that of all.
    return means - means.mean(axis=0), np.argwhere(inside), mask.affine


def test_every_centre_equals_a_loop_with_scipy(folder, results):
    means, voxels, affine = independent_means(folder)
    names = list(GROUPS.values())
    between = pdist(np.array([[names.index(name)] for name in names])) > 0
    found = nibabel.load(results / "maps/similarity_1.nii.gz").get_fdata()[..., 0]
    places = voxels @ affine[:3, :3].T
    n_few = 0
    for centre, place in zip(voxels, places, strict=True):
        sphere = np.linalg.norm(places - place, axis=1) <= RADIUS
        if sphere.sum() < 10:
            n_few += 1
            assert np.isnan(found[tuple(centre)])
            continue
        expected = spearmanr(pdist(means[:, sphere], "correlation"), between).statistic
        # Single precision of the stored patterns can swap neighbours among 28 ranks.
        assert found[tuple(centre)] == pytest.approx(expected, abs=0.02)
    table = pd.read_csv(results / "tables/searchlight_1.csv")
    assert table["n_too_few_voxels"].tolist() == [n_few]
    assert np.isfinite(found).sum() == len(voxels) - n_few == table["n_computed"].iloc[0]


def test_categories_are_found_in_both_hemispheres(results):
    """Ventral temporal cortex on the left and right (Haxby et al. 2001), the rest of it not."""
    p = nibabel.load(results / "maps/p_tfce_1.nii.gz")
    significant = np.argwhere(p.get_fdata()[..., 0] <= 0.05)
    x = nibabel.affines.apply_affine(p.affine, significant)[:, 0]
    tested = np.isfinite(p.get_fdata()).sum()
    assert (x < 0).any()
    assert (x > 0).any()
    assert len(significant) < tested / 4


def test_one_subject_is_a_single_case(results):
    table = pd.read_csv(results / "tables/searchlight_1.csv")
    assert table["status"].tolist() == ["single case"]
    caption = (results / "figures/searchlight_1_categories.rst").read_text()
    assert "a single case" in caption
    assert "n = 8 categories (28 pairs)" in caption
    assert not (results / "tables/searchlight_group.csv").exists()
