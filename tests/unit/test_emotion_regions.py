"""Regions and places of maps of emotions, and RDMs of a network's layers, against plain loops."""

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from scripts.emotions.data.timeseries import WHOLE, TimeSeries, write_timeseries
from scripts.emotions.labelling.labels import Labels
from scripts.emotions.rsa.network_rdms import network_rdms
from scripts.emotions.rsa.regions import mean_of_places, places_of, regions_of
from workflow.lib.errors import InputError

AFFINE = np.diag([-3.0, 3.0, 3.0, 1.0])
SHAPE = (5, 4, 3)


@pytest.fixture
def parcels(tmp_path):
    values = np.random.default_rng(0).standard_normal((6, 4))
    path = tmp_path / "parcels.h5"
    write_timeseries(path, {"1": values}, subject="01", tr=2.0, names=["7", "8", "9", "11"])
    return TimeSeries(path)


@pytest.fixture
def mask():
    mask = np.ones(SHAPE, bool)
    mask[0, 0] = False
    return mask


@pytest.fixture
def volumes(tmp_path, mask):
    values = np.random.default_rng(0).standard_normal((6, mask.sum()))
    path = tmp_path / "volumes.h5"
    write_timeseries(path, {"1": values}, subject="01", tr=2.0, mask=mask, affine=AFFINE)
    return TimeSeries(path)


def write_regions(path, numbers, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(numbers.astype(np.uint8), affine), path)
    return path


def test_regions_of_parcels_are_named(parcels):
    regions = regions_of(parcels, {"front": ["9", "7"]})
    assert list(regions) == [WHOLE, "front"]
    assert regions["front"].tolist() == [2, 0]
    assert regions[WHOLE].tolist() == [0, 1, 2, 3]


def test_unknown_parcel_is_refused(parcels):
    with pytest.raises(InputError, match=r"rsa\.rois\.front: found the parcel '10'"):
        regions_of(parcels, {"front": ["10"]})


def test_regions_of_volumes_are_numbered_voxels_of_the_mask(volumes, mask, tmp_path):
    numbers = np.zeros(SHAPE)
    numbers[0, :2], numbers[3] = 2, 1
    path = write_regions(tmp_path / "regions.nii.gz", numbers)
    regions = regions_of(volumes, {"file": "regions.nii.gz", "names": {"a": 1, "b": 2}}, path)
    inside = numbers[mask]
    assert regions["a"].tolist() == np.flatnonzero(inside == 1).tolist()
    # Of the second one part lies outside the mask.
    assert len(regions["b"]) == 3


@pytest.mark.parametrize(
    ("numbers", "affine", "words"),
    [
        (np.zeros(SHAPE), AFFINE, "found no voxel numbered 1"),
        (np.ones((5, 4, 4)), AFFINE, r"found \(5, 4, 4\) voxels, expected"),
        (np.ones(SHAPE), 2 * AFFINE, "found the affine"),
    ],
)
def test_regions_that_do_not_fit_are_refused(volumes, tmp_path, numbers, affine, words):
    path = write_regions(tmp_path / "regions.nii.gz", numbers, affine)
    with pytest.raises(InputError, match=words):
        regions_of(volumes, {"file": "regions.nii.gz", "names": {"a": 1}}, path)


def test_places_are_parcels_or_cubes(parcels, volumes, mask):
    names, place_of = places_of(parcels, 2)
    assert names == ["7", "8", "9", "11"]
    assert place_of.tolist() == [0, 1, 2, 3]
    names, place_of = places_of(volumes, 2)
    # 3 x 2 x 2 cubes, all of which have voxels of the mask.
    assert len(names) == len(set(names)) == 12
    voxels = np.argwhere(mask)
    for place in range(len(names)):
        corners = np.unique(voxels[place_of == place] // 2, axis=0)
        assert len(corners) == 1
        centre = AFFINE[:3, :3] @ (corners[0] * 2 + 0.5)
        assert [float(part) for part in names[place].split()] == pytest.approx(centre.tolist())


def test_means_of_places_leave_out_what_has_no_value():
    values = np.array([[1.0, 3.0, np.nan, np.nan], [2.0, 4.0, 6.0, np.nan]])
    means = mean_of_places(values, np.array([0, 0, 1, 2]), 3)
    np.testing.assert_allclose(means, [[2, np.nan, np.nan], [3, 6, np.nan]])


# Layers of a network.

CLASSES = ("FEAR", "LOVE", "JOY")


@pytest.fixture
def labels():
    table = pd.DataFrame(
        {
            "run": "1",
            "volume": np.arange(12),
            "time": np.arange(12.0),
            "used": True,
            "label": np.tile(CLASSES, 4),
            "agreement": 5,
            "episode": np.arange(12),
            "sampled": True,
        }
    )
    return Labels(table, CLASSES)


def write_features(path, rows, folds, values, classes=CLASSES):
    with h5py.File(path, "w") as file:
        file.attrs.update(model="net", split="run", classes=list(classes), layers=["block1"])
        file["row"], file["fold"], file["subject"] = rows, folds, np.zeros(len(rows), int)
        file["layers/block1"] = values
    return path


def test_rdm_of_a_layer_is_the_mean_over_folds_that_test_all(tmp_path, labels):
    rng = np.random.default_rng(0)
    rows = np.arange(12)
    # The last fold tests one class alone.
    folds = np.array([0] * 5 + [1] * 6 + [2])
    values = rng.standard_normal((12, 7)).astype(np.float32)
    path = write_features(tmp_path / "net.h5", rows, folds, values)
    ((named, vector),) = network_rdms(path, labels)
    assert named == {"model": "net", "layer": "block1"}
    expected = [
        pdist(
            [
                values[(folds == fold) & (labels.codes == code)].mean(axis=0)
                for code in range(len(CLASSES))
            ],
            "correlation",
        )
        for fold in range(2)
    ]
    np.testing.assert_allclose(vector, np.mean(expected, axis=0), rtol=1e-5)


def test_folds_that_never_test_all_are_refused(tmp_path, labels):
    rows = np.arange(4)
    values = np.random.default_rng(0).standard_normal((4, 7)).astype(np.float32)
    path = write_features(tmp_path / "net.h5", rows, np.array([0, 0, 1, 1]), values)
    with pytest.raises(InputError, match="found no fold that tests all 3 emotions"):
        list(network_rdms(path, labels))


def test_features_of_other_classes_are_refused(tmp_path, labels):
    values = np.ones((3, 7), np.float32)
    path = write_features(
        tmp_path / "net.h5", np.arange(3), np.zeros(3, int), values, classes=("FEAR", "LOVE")
    )
    with pytest.raises(InputError, match="expected those of FEAR, LOVE, JOY"):
        list(network_rdms(path, labels))
