"""Published betas as an image: every voxel where it was, under its category, in its place."""

import nibabel
import numpy as np
import pytest

from scripts.digits.data.convert_betas import read_betas
from scripts.digits.data.published import AFFINE
from tests.unit.digit_files import published_betas
from workflow.lib.errors import InputError
from workflow.lib.nifti.files import write_image


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_image_holds_the_published_values_in_the_published_place(tmp_path):
    values, brain = published_betas()
    # Voxels that miss a category belong to no sphere, as in the authors' mask.
    values[31, 37, 31, 4], values[32, 37, 31, 5] = 0, np.nan
    betas = read_betas(save(tmp_path / "betas.npz", beta=values))
    write_image(tmp_path / "betas.nii.gz", betas.values, AFFINE)
    image = nibabel.load(tmp_path / "betas.nii.gz")
    assert image.shape == (64, 76, 64, 16)
    # Voxel centres of 3 mm, as far left as right: from -94.5 to 94.5 mm.
    np.testing.assert_allclose(
        nibabel.affines.apply_affine(image.affine, (0, 0, 0)), (-94.5, -130.5, -76.5)
    )
    np.testing.assert_allclose(
        nibabel.affines.apply_affine(image.affine, (63, 75, 63)), (94.5, 94.5, 112.5)
    )
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.header.get_xyzt_units()[0] == "mm"
    expected = brain.copy()
    expected[31:33, 37, 31] = False
    np.testing.assert_array_equal(betas.mask, expected)
    read = image.get_fdata()
    np.testing.assert_allclose(read[expected], values[expected], rtol=1e-6)
    assert (read[~expected] == 0).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"beta": np.ones((64, 76, 63, 16))}, r"shape \(64, 76, 63, 16\).*the grid \(64, 76, 64\)"),
        ({"beta": np.ones((64, 76, 64, 15))}, "found betas of 15 categories, expected 16"),
        ({"beta": np.ones((64, 76, 64))}, "categories along the fourth axis"),
        ({"beta": np.full((64, 76, 64, 16), "1")}, "expected numbers"),
        ({"beta": np.zeros((64, 76, 64, 16))}, "found no voxel with a value for each"),
        ({"betas": np.ones(3)}, "found the variables betas, expected 'beta'"),
        ({"beta": np.full(2, None)}, "without unpickling"),
    ],
)
def test_other_betas_are_refused(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        read_betas(save(tmp_path / "betas.npz", **arrays))


def test_damaged_file_is_named(tmp_path):
    (tmp_path / "betas.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InputError, match=r"betas\.npz: found data that cannot be read"):
        read_betas(tmp_path / "betas.npz")
