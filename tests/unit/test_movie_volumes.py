"""Volumes are prepared as nilearn's masker does, block by block; what does not fit is refused."""

import gzip

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import NiftiMasker

from scripts.emotions.data import prepare_volumes
from scripts.emotions.data.mask_volumes import mask_volumes, write_mask
from scripts.emotions.data.prepare_volumes import MOTION, Steps, read_motion
from scripts.emotions.data.timeseries import TimeSeries, boxes
from workflow.lib.errors import InputError
from workflow.lib.nifti import files as nifti_files

GRID, TR = (14, 13, 12), 2.0
AFFINE = np.diag([-3.0, 3.0, 3.5, 1.0])
AFFINE[:3, 3] = 20, -18, 5
N_VOLUMES = {"1": 40, "2": 33}


def ball(radius=5.0):
    middle = (np.reshape(GRID, (3, 1, 1, 1)) - 1) / 2
    return np.linalg.norm(np.indices(GRID) - middle, axis=0) <= radius


def brain_like(n_volumes, seed):
    """A bright ball with drift and noise in the dark, (x, y, z, n_volumes)."""
    rng = np.random.default_rng(seed)
    level = np.where(ball(), 900.0, 20.0)[..., np.newaxis]
    slopes = rng.standard_normal((*GRID, 1)) * np.linspace(-1, 1, n_volumes)
    return level * (1 + 0.01 * slopes + 0.01 * rng.standard_normal((*GRID, n_volumes)))


def write_run(path, values, *, affine=AFFINE, tr=TR, unit="sec", dtype=np.int16):
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_data_dtype(dtype)
    image.header.set_xyzt_units("mm", unit)
    image.header.set_zooms((*image.header.get_zooms()[:3], tr))
    nibabel.save(image, path)


@pytest.fixture
def files(tmp_path):
    """The two runs of a subject, with whole numbers and a slope."""
    found = {run: tmp_path / f"run-{run}_bold.nii.gz" for run in N_VOLUMES}
    for (run, path), seed in zip(found.items(), (1, 2), strict=True):
        write_run(path, brain_like(N_VOLUMES[run], seed))
    return found


@pytest.fixture
def mask(tmp_path):
    write_mask(tmp_path / "mask.nii.gz", ball(), AFFINE)
    return tmp_path / "mask.nii.gz"


def prepared(files, *, steps=None, **options):
    path = next(iter(files.values())).parent / "prepared.h5"
    options = {"subject": "01", "tr": TR, "n_volumes": N_VOLUMES, "aligned": True} | options
    prepare_volumes.prepare_volumes(path, files, steps=steps or Steps(), **options)
    return TimeSeries(path)


@pytest.mark.filterwarnings("ignore:From release 0.14.0:DeprecationWarning")
@pytest.mark.parametrize(
    "steps",
    [
        Steps(),
        Steps(detrend=False),
        Steps(standardise=False),
        Steps(high_pass=1 / 30),
        Steps(smoothing=5.0),
        Steps(high_pass=1 / 30, smoothing=4.0),
    ],
    ids=str,
)
def test_values_are_those_of_nilearns_masker(files, mask, steps, monkeypatch):
    # Seven volumes, and a part of the voxels.
    monkeypatch.setattr(nifti_files, "BLOCK_BYTES", 7 * 8 * np.prod(GRID))
    monkeypatch.setattr(prepare_volumes, "VOXELS_AT_ONCE", 300)
    series = prepared(files, mask=mask, steps=steps)
    masker = NiftiMasker(
        mask,
        detrend=steps.detrend,
        high_pass=steps.high_pass,
        standardize="zscore_sample" if steps.standardise else None,
        smoothing_fwhm=steps.smoothing,
        t_r=TR,
        reports=False,
        clean_args={"filter": "cosine" if steps.high_pass else False},
    ).fit()
    for run, path in files.items():
        expected = masker.transform(path)
        scale = 1 if steps.standardise else np.abs(expected).max()
        np.testing.assert_allclose(
            series.rows(run, range(len(expected))), expected, atol=1e-5 * scale
        )


def test_volumes_can_be_put_back_where_they_were(files, mask):
    series = prepared(files, mask=mask, steps=Steps(detrend=False, standardise=False))
    np.testing.assert_array_equal(series.mask, ball())
    np.testing.assert_allclose(series.affine, AFFINE)
    whole = boxes(series.rows("1", [0, 39]), series.mask, np.s_[:, :, :])
    expected = nibabel.load(files["1"]).get_fdata()[..., [0, 39]] * ball()[..., np.newaxis]
    np.testing.assert_allclose(np.moveaxis(whole, 0, -1), expected, rtol=1e-6)


def test_every_voxel_has_mean_zero_and_variance_one_in_every_run(files, mask):
    series = prepared(files, mask=mask)
    for run, n_volumes in N_VOLUMES.items():
        values = series.rows(run, range(n_volumes)).astype(np.float64)
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(values.std(axis=0, ddof=1), 1, atol=1e-6)


def made_mask(files):
    """Return the path of a mask made of one subject's runs."""
    path = files["1"].parent / "made.nii.gz"
    write_mask(path, *mask_volumes([files], tr=TR, n_volumes=N_VOLUMES))
    return path


def test_a_mask_is_made_of_the_bright_part(files):
    mask, affine = mask_volumes([files], tr=TR, n_volumes=N_VOLUMES)
    np.testing.assert_allclose(affine, AFFINE)
    assert not (mask & ~ball()).any()
    assert mask.sum() > 0.8 * ball().sum()


def test_voxels_without_values_are_left_out_of_a_mask_that_is_made(files):
    for number, path in enumerate(files.values()):
        values = nibabel.load(path).get_fdata()
        values[6, 6, 5] = 900.0
        if number == 0:
            values[5, 6, 5] = 900.0
        write_run(path, values)
    series = prepared(files, mask=made_mask(files))
    assert not series.mask[6, 6, 5], "constant in all runs"
    assert series.mask[5, 6, 5], "constant in one run"
    assert [series.n_constant(run) for run in series.runs] == [1, 0]
    first, second = (
        boxes(series.rows(run, range(n)), series.mask, np.s_[:, :, :])[:, 5, 6, 5]
        for run, n in N_VOLUMES.items()
    )
    assert not first.any()
    assert second.any()


def test_a_mask_of_darkness_is_refused(files):
    for run, path in files.items():
        write_run(path, np.ones((*GRID, N_VOLUMES[run])))
    with pytest.raises(InputError, match="found no voxel of the brain"):
        made_mask(files)


def test_voxels_that_are_no_numbers_are_zero_in_a_given_mask_and_counted(files, mask):
    values = nibabel.load(files["2"]).get_fdata()
    values[5, 4, 4, 7] = np.nan
    write_run(files["2"], values, dtype=np.float32)
    series = prepared(files, mask=mask)
    assert [series.n_constant(run) for run in series.runs] == [0, 1]
    found = boxes(series.rows("2", range(33)), series.mask, np.s_[:, :, :])
    assert np.isfinite(found).all()
    assert not found[:, 5, 4, 4].any()


def test_a_common_mask_holds_what_all_subjects_have(tmp_path):
    subjects = []
    for subject, hidden in (("01", np.s_[:4]), ("02", np.s_[10:])):
        values = brain_like(40, int(subject))
        # Half a brain is outside the field of view, as after registration.
        values[hidden] = 0
        write_run(tmp_path / f"{subject}.nii.gz", values)
        subjects.append({"1": tmp_path / f"{subject}.nii.gz"})
    common, affine = mask_volumes(subjects, tr=TR, n_volumes={"1": 40})
    np.testing.assert_allclose(affine, AFFINE)
    assert common.any()
    assert not common[:4].any()
    assert not common[10:].any()


def test_a_tr_in_milliseconds_is_read_as_such(files, mask):
    write_run(files["2"], brain_like(33, 2), tr=2000.0, unit="msec")
    assert prepared(files, mask=mask).tr == TR


def damaged(path):
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole)[:-2000])


def swapped(path):
    write_run(path, np.swapaxes(brain_like(33, 2), 0, 1))


def three_axes(path):
    nibabel.save(nibabel.Nifti1Image(np.ones(GRID), AFFINE), path)


CHANGES = {
    "missing": (lambda path: path.unlink(), "found no such file, expected the volumes of run 2"),
    "damaged": (damaged, "found no readable NIfTI image"),
    "no image": (lambda path: path.write_text("run"), "found no readable NIfTI image"),
    "3D": (three_axes, r"found an image of shape \(14, 13, 12\)"),
    "other TR": (
        lambda path: write_run(path, brain_like(33, 2), tr=2.5),
        r"found a TR of 2.5 s in the header, expected 2 s",
    ),
    "fewer volumes": (
        lambda path: write_run(path, brain_like(32, 2)),
        "found 32 volumes, expected 33 in run 2",
    ),
    "other shape": (swapped, r"found \(13, 14, 12\) voxels, expected \(14, 13, 12\)"),
    "other affine": (
        lambda path: write_run(path, brain_like(33, 2), affine=AFFINE @ np.diag([-1, 1, 1, 1])),
        "found the affine",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_runs_that_do_not_fit_are_refused(files, mask, change):
    make, message = CHANGES[change]
    make(files["2"])
    with pytest.raises(InputError, match=f"run-2_bold.nii.gz: {message}"):
        prepared(files, mask=mask)
    assert not (files["1"].parent / "prepared.h5").exists()


def test_a_mask_that_does_not_fit_is_refused(files, tmp_path):
    path = tmp_path / "other.nii.gz"
    write_mask(path, np.zeros(GRID, dtype=bool), AFFINE)
    with pytest.raises(InputError, match=r"other\.nii\.gz: found a mask that holds no voxel"):
        prepared(files, mask=path)
    write_mask(path, np.ones((14, 13, 9), dtype=bool), AFFINE)
    with pytest.raises(InputError, match=r"other.nii.gz: found \(14, 13, 9\) voxels"):
        prepared(files, mask=path)
    write_mask(path, ball(), AFFINE + np.eye(4))
    with pytest.raises(InputError, match=r"other.nii.gz: found the affine"):
        prepared(files, mask=path)


def test_a_mask_without_signal_is_refused(files, mask):
    values = nibabel.load(files["2"]).get_fdata()
    values[:8] = 0
    write_run(files["2"], values)
    with pytest.raises(InputError, match="with other than one constant value, expected most"):
        prepared(files, mask=mask)


def test_subjects_on_other_grids_have_no_common_mask(files, tmp_path):
    write_run(tmp_path / "other.nii.gz", brain_like(40, 5), affine=AFFINE + 0.01 * np.eye(4))
    subjects = [{"1": files["1"]}, {"1": tmp_path / "other.nii.gz"}]
    with pytest.raises(
        InputError, match=r"other.nii.gz: found the affine .* as in .*run-1"
    ) as told:
        mask_volumes(subjects, tr=TR, n_volumes=N_VOLUMES)
    assert "resampling to a common grid is not registration" in str(told.value)


def motion_table(n_volumes=33):
    values = np.random.default_rng(1).standard_normal((n_volumes, 6))
    table = pd.DataFrame(values, columns=list(MOTION))
    return table.assign(framewise_displacement=[np.nan, *np.ones(n_volumes - 1)])


def test_motion_is_kept_by_run(files, mask, tmp_path):
    tables = {run: motion_table(n_volumes) for run, n_volumes in N_VOLUMES.items()}
    confounds = {run: tmp_path / f"{run}.tsv" for run in N_VOLUMES}
    for run, path in confounds.items():
        # The order of the columns is not.
        tables[run].iloc[:, ::-1].to_csv(path, sep="\t", index=False, na_rep="n/a")
    series = prepared(files, mask=mask, confounds=confounds)
    assert series.confound_names == list(MOTION)
    for run in N_VOLUMES:
        np.testing.assert_allclose(series.confounds(run), tables[run][list(MOTION)], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="rot_y"), "expected 'rot_y' among them"),
        (lambda table: table.iloc[1:], "found 32 rows, expected 33"),
        (
            lambda table: table.assign(trans_z=[np.nan] + [0.0] * 32),
            "found no number in column 'trans_z' of volume 0",
        ),
        (lambda table: table.assign(rot_x="x"), "found no number in column 'rot_x'"),
    ],
)
def test_tables_of_motion_that_do_not_fit_are_refused(tmp_path, change, message):
    change(motion_table()).to_csv(tmp_path / "m.tsv", sep="\t", index=False, na_rep="n/a")
    with pytest.raises(InputError, match=f"m.tsv: .*{message}"):
        read_motion(tmp_path / "m.tsv", 33)


def test_a_missing_table_of_motion_is_told(tmp_path):
    with pytest.raises(InputError, match=r"m\.tsv: found no readable table"):
        read_motion(tmp_path / "m.tsv", 33)
