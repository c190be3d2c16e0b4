"""Responses of reconstruction: standardised by training, averaged, read back; refused if unfit."""

import h5py
import numpy as np
import pytest

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.data.prepare_responses import prepare_responses
from scripts.reconstruction.data.response_files import Recorded, open_responses
from scripts.reconstruction.data.responses import read_responses
from tests.unit.picture_files import BDATA, written
from workflow.lib.errors import InputError


def trials(part, names, voxels, what=None):
    voxels = np.asarray(voxels, np.float32)
    masks = {"V1": np.arange(voxels.shape[1]) < 2, "all": np.ones(voxels.shape[1], bool)}
    return Recorded(
        what=what or f"{part}.h5",
        voxels=voxels,
        masks=masks,
        places=np.empty((0, voxels.shape[1])),
        names=list(names),
        runs=["1"] * len(names),
    )


IMAGES = ImageTable(
    ["a", "b", "s", "t"],
    ["training", "training", "natural", "natural"],
    np.zeros((4, 2, 2, 3), np.uint8),
    np.zeros((4, 2, 2), np.float32),
    np.arange(4),
)


def both(n_voxels=3, **changes):
    rng = np.random.default_rng(5)
    training = 100 + 7 * rng.standard_normal((6, n_voxels))
    test = 120 + 9 * rng.standard_normal((5, n_voxels))
    recorded = {
        "training": trials("training", "ababab", training),
        "natural": trials("natural", "tstst", test),
    }
    return recorded | changes


def test_trials_are_standardised_by_training_alone_and_test_repeats_averaged():
    recorded = both()
    rois, parts = prepare_responses(recorded, IMAGES, missing="refuse")
    training, test = parts["training"], parts["natural"]
    raw = recorded["training"].voxels.astype(float)
    np.testing.assert_allclose(training.responses.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(training.responses.std(axis=0), 1, atol=1e-5)
    shown = recorded["natural"].voxels.astype(float)
    # By hand: s in rows 1 and 3, t in rows 0, 2 and 4.
    means = np.array([(shown[1] + shown[3]) / 2, (shown[0] + shown[2] + shown[4]) / 3])
    np.testing.assert_allclose(
        test.responses, (means - raw.mean(axis=0)) / raw.std(axis=0), rtol=1e-4
    )
    assert (test.names, test.n_repeats.tolist()) == (["s", "t"], [2, 3])
    assert (training.names, training.runs) == (list("ababab"), ["1"] * 6)
    assert rois["V1"].tolist() == [True, True, False]


def test_tests_have_no_part_in_what_training_looks_like():
    recorded = both()
    first = prepare_responses(recorded, IMAGES, missing="refuse")[1]["training"]
    other = trials("natural", "st", 1e4 * np.ones((2, 3)))
    second = prepare_responses(recorded | {"natural": other}, IMAGES, missing="refuse")[1]
    np.testing.assert_array_equal(first.responses, second["training"].responses)


def test_a_decoder_reads_the_union_of_its_own_rois_alone(tmp_path):
    files = {
        "training": written(tmp_path / "t.h5", [(7, 1), (7, 2), (7, 1), (7, 3)]),
        "natural": written(tmp_path / "n.h5", [(8, 1), (8, 2), (8, 1)]),
    }
    shown = {part: open_responses(file, part, BDATA).names() for part, file in files.items()}
    names = [sorted(set(of_part)) for of_part in shown.values()]
    n = sum(map(len, names))
    images = ImageTable(
        [name for own in names for name in own],
        [part for part, own in zip(files, names, strict=True) for _ in own],
        np.zeros((n, 2, 2, 3), np.uint8),
        np.zeros((n, 2, 2), np.float32),
        np.arange(n),
    )
    options = {**BDATA, "missing": "refuse"}
    v1, vc = {"V1": "ROI_V1 = 1"}, {"VC": "VoxelData = 1"}
    found = {
        rois: read_responses(files, images, subject="01", rois=selectors, options=options)
        for rois, selectors in {"V1": v1, "VC": vc, "both": v1 | vc}.items()
    }
    assert {responses.subject for responses in found.values()} == {"01"}
    for part in files:
        one, whole, both_ = (responses.parts[part] for responses in found.values())
        # V1 lies in VC: the union has each voxel once, in the order of the file.
        np.testing.assert_array_equal(both_.responses, whole.responses)
        np.testing.assert_array_equal(one.responses, whole.responses[:, : one.responses.shape[1]])
        assert 0 < one.responses.shape[1] < whole.responses.shape[1]
    assert found["V1"].parts["training"].names == shown["training"]
    assert found["V1"].parts["natural"].names == names[1]
    assert found["V1"].parts["natural"].n_repeats.tolist() == [2, 1]


def test_voxels_that_are_no_number_are_refused_or_left_out():
    recorded = both()
    recorded["natural"].voxels[2, 1] = np.nan
    with pytest.raises(InputError, match=r"1 of 3 voxels that are not a number.*1 of V1, 1 of all"):
        prepare_responses(recorded, IMAGES, missing="refuse")
    rois, parts = prepare_responses(recorded, IMAGES, missing="leave_out")
    assert rois["V1"].tolist() == [True, False]
    assert parts["training"].responses.shape == (6, 2)
    assert np.isfinite(parts["natural"].responses).all()
    recorded["training"].voxels[0, 0] = np.inf
    with pytest.raises(InputError, match="V1: found no voxel that varies and is a number"):
        prepare_responses(recorded, IMAGES, missing="leave_out")


def test_constant_voxels_are_left_out():
    recorded = both()
    recorded["training"].voxels[:, 2] = 3.3
    rois, _ = prepare_responses(recorded, IMAGES, missing="refuse")
    assert rois["all"].tolist() == [True, True]


def test_rest_is_left_out():
    training = trials("training", ["a", None, "b"], [[1, 2, 3], [99, 99, 99], [3, 1, 9]])
    _, parts = prepare_responses(both(training=training), IMAGES, missing="refuse")
    np.testing.assert_allclose(parts["training"].responses, [[-1, 1, -1], [1, -1, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"natural": trials("natural", "sta", np.ones((3, 3)))}, "'a' .1 of 3.*among the training"),
        ({"natural": trials("natural", "s", np.ones((1, 3)))}, "found no trial of 't'"),
        ({"training": trials("training", "abc", np.eye(3))}, "found trials of 'c'"),
        (
            {"natural": trials("natural", "st", np.ones((2, 4)))},
            "V1: found 2 of 4 voxels, expected the 2 of 3 of training.h5",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(changed, told):
    with pytest.raises(InputError, match=told):
        prepare_responses(both(**changed), IMAGES, missing="refuse")


def test_voxels_at_other_places_are_refused(tmp_path):
    files = [written(tmp_path / f"{n}.h5", [(n, 1), (n, 2)]) for n in (7, 8)]
    with h5py.File(files[1], "r+") as opened:
        row = [key.decode() for key in opened["metadata/key"][()]].index("voxel_x")
        opened["metadata/value"][row, 0] += 2
    recorded = {
        part: open_responses(file, part, BDATA).read({"V1": "ROI_V1 = 1"})
        for part, file in zip(("training", "natural"), files, strict=True)
    }
    assert recorded["training"].runs == ["1", "2"]
    names = [name for trials_ in recorded.values() for name in trials_.names]
    images = ImageTable(names, IMAGES.parts, IMAGES.images, IMAGES.shapes, IMAGES.groups)
    with pytest.raises(InputError, match=r"8\.h5: found voxels at other places than in 7\.h5"):
        prepare_responses(recorded, images, missing="refuse")
