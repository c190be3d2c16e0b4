"""Response patterns: every format and layout gives the same numbers, and bad files one sentence."""

import gzip
import logging
import re
import tracemalloc

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from nilearn.masking import apply_mask
from nilearn.signal import clean
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import cov_from_unbalanced

from tests.unit.raw_files import cells, write_matlab73_variables
from workflow.lib.errors import InputError
from workflow.lib.nifti import files as nifti_files
from workflow.lib.patterns import images as pattern_images
from workflow.lib.patterns.files import open_pattern_file
from workflow.lib.patterns.preparation import (
    condition_means,
    means_for,
    noise_residuals,
    prepare_patterns,
    run_means,
)
from workflow.lib.patterns.rdms import extract_patterns
from workflow.lib.patterns.reading import (
    Patterns,
    pattern_conditions,
    pattern_sizes,
    read_patterns,
)
from workflow.lib.rdms.noise import noise_covariance, noise_normalised
from workflow.lib.sources import pattern_files

AFFINE = np.diag([-3.0, 3.0, 3.5, 1.0]) + np.array([[0, 0, 0, 60], [0] * 4, [0] * 4, [0] * 4])
GRID = (5, 4, 3)
CONDITIONS = ["rest", "face", "house", "rest", "house", "face"]
RUNS = ["1", "1", "1", "2", "2", "2"]
N = len(CONDITIONS)
VOLUMES = np.random.default_rng(0).integers(50, 900, (*GRID, N)).astype(np.int16)
ATLAS = np.arange(60).reshape(GRID) % 4
PLACES = {"V1": ATLAS == 1, "IT": ATLAS == 3}
MEASURED = {roi: VOLUMES[place].T.astype(float) for roi, place in PLACES.items()}


def block(**keys):
    """Return a block of patterns as scripts get it, of which a test gives what it is about."""
    return {
        "data": "patterns",
        "files": "bold.nii.gz",
        "key": None,
        "subjects": {"names": ["01"], "from": "constant"},
        "rois": {"names": {"V1": "V1.nii", "IT": "IT.nii"}, "from": "mask"},
        "observations": {"file": "table.txt", "condition": 0, "run": 1, "drop": []},
        "conditions": conditions("stored"),
        **keys,
    }


def conditions(origin, **keys):
    given = {"key": None, "file": None, "column": None, "pattern": "image_{:04d}"}
    return {"from": origin, **given, **keys}


def write_image(path, values, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(values, affine).to_filename(path)


def write_table(path, names=CONDITIONS, runs=RUNS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name} {run}\n" for name, run in zip(names, runs, strict=True)))


def write_study(folder):
    """Write what `block()` describes."""
    write_image(folder / "bold.nii.gz", VOLUMES)
    write_image(folder / "atlas.nii.gz", ATLAS.astype(np.uint8))
    for roi, place in PLACES.items():
        write_image(folder / f"{roi}.nii", place.astype(np.uint8))
    write_table(folder / "table.txt")
    return folder


def assert_measured(found, expected=MEASURED):
    assert list(found) == list(expected)
    for roi, values in expected.items():
        assert found[roi].measurements.dtype == np.float64
        np.testing.assert_array_equal(found[roi].measurements, values, err_msg=roi)


def assert_stops(action, *, where, found, expected, advice):
    """Check that an action raises one sentence with its four parts, in that order."""
    with pytest.raises(InputError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message
    assert re.search(rf"{where}.*found {found}.*expected {expected}.*; .*{advice}", message), (
        message
    )


# Images.


def test_masks_choose_voxels_and_a_table_names_the_volumes(tmp_path):
    found = read_patterns(block(), write_study(tmp_path), "01")
    assert_measured(found)
    for roi, patterns in found.items():
        assert (patterns.conditions, patterns.runs) == (CONDITIONS, RUNS)
        x, y, z = (patterns.channels[axis] for axis in "xyz")
        np.testing.assert_array_equal(VOLUMES[x, y, z].T, MEASURED[roi])


def test_masked_values_are_those_of_nilearn(tmp_path):
    folder = write_study(tmp_path)
    scaled = nibabel.Nifti1Image(VOLUMES, AFFINE)
    scaled.header.set_slope_inter(0.25, -3)
    scaled.to_filename(folder / "bold.nii.gz")
    found = read_patterns(block(), folder, "01")
    for roi in PLACES:
        expected = apply_mask(folder / "bold.nii.gz", folder / f"{roi}.nii", dtype=np.float64)
        np.testing.assert_array_equal(found[roi].measurements, expected)


@pytest.mark.parametrize("name", ["bold.nii", "bold.nii.gz"])
@pytest.mark.parametrize("volumes_per_block", [0, 1, 4, 100])
def test_blocks_do_not_change_what_is_read(tmp_path, monkeypatch, name, volumes_per_block):
    folder = write_study(tmp_path)
    write_image(folder / name, VOLUMES)
    monkeypatch.setattr(nifti_files, "BLOCK_BYTES", 8 * 60 * volumes_per_block)
    assert_measured(read_patterns(block(files=name), folder, "01"))


def test_a_run_is_never_held_whole(tmp_path, monkeypatch):
    """A run of 31 MB in float64 is read within a quarter of that."""
    grid, n = (40, 40, 20), 120
    values = np.random.default_rng(0).integers(0, 99, (*grid, n)).astype(np.int16)
    mask = np.zeros(grid, np.uint8)
    mask[3:6, 4, 5] = 1
    write_image(tmp_path / "bold.nii.gz", values)
    write_image(tmp_path / "V1.nii", mask)
    source = block(
        rois={"names": {"V1": "V1.nii"}, "from": "mask"},
        observations=None,
        conditions=conditions("order"),
    )
    monkeypatch.setattr(nifti_files, "BLOCK_BYTES", 2**20)
    del values
    tracemalloc.start()
    found = read_patterns(source, tmp_path, "01")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["V1"].measurements.shape == (n, 3)
    assert peak < 8 * np.prod(grid) * n / 4


def test_an_atlas_gives_rois_by_one_label_or_several(tmp_path):
    rois = {"names": {"V1": [1], "both": [1, 3], "IT": 3}, "from": "atlas", "atlas": "atlas.nii.gz"}
    source = block(rois=rois)
    found = read_patterns(source, write_study(tmp_path), "01")
    files = ["bold.nii.gz", "table.txt", "atlas.nii.gz"]
    assert pattern_files(source, tmp_path) == files
    both = VOLUMES[np.isin(ATLAS, [1, 3])].T
    assert_measured(found, {"V1": MEASURED["V1"], "both": both, "IT": MEASURED["IT"]})


def test_every_file_may_be_a_subjects_own(tmp_path):
    for subject, shift in {"a": 0, "b": 7}.items():
        folder = tmp_path / f"sub-{subject}"
        write_image(folder / "bold.nii.gz", VOLUMES + np.int16(shift))
        write_image(folder / "V1.nii", np.roll(PLACES["V1"], shift, axis=0).astype(np.uint8))
        write_table(folder / "table.txt", runs=[str(shift)] * N)
    source = block(
        files="sub-{subject}/bold.nii.gz",
        subjects={"names": {"first": "a", "second": "b"}, "from": "file_name"},
        rois={"names": {"V1": "sub-{subject}/V1.nii"}, "from": "mask"},
        observations={"file": "sub-{subject}/table.txt", "condition": 0, "run": 1},
    )
    second = read_patterns(source, tmp_path, "second")["V1"]
    expected = VOLUMES[np.roll(PLACES["V1"], 7, axis=0)].T + 7
    np.testing.assert_array_equal(second.measurements, expected)
    assert second.runs == ["7"] * N
    assert pattern_files(source, tmp_path, {"subject": "second"}) == [
        "sub-b/bold.nii.gz",
        "sub-b/table.txt",
        "sub-b/V1.nii",
    ]


def write_sessions(folder):
    """Write the volumes as two sessions of 4 and 2 volumes."""
    write_study(folder)
    for session, some in {"1": slice(0, 4), "2": slice(4, 6)}.items():
        write_image(folder / f"ses-{session}.nii.gz", VOLUMES[..., some])
        write_table(folder / f"ses-{session}.txt", CONDITIONS[some], RUNS[some])
    return block(files="ses-{session}.nii.gz", sessions={"names": ["1", "2"], "from": "file_name"})


@pytest.mark.parametrize("table", ["table.txt", "ses-{session}.txt"])
def test_sessions_follow_one_another(tmp_path, table):
    source = write_sessions(tmp_path)
    source["observations"] = {"file": table, "condition": 0, "run": 1}
    found = read_patterns(source, tmp_path, "01")
    assert_measured(found)
    assert found["V1"].conditions == CONDITIONS
    # Run 2 began in the first session; a run of another session is another run.
    assert found["V1"].runs == ["1-1", "1-1", "1-1", "1-2", "2-2", "2-2"]


def test_a_session_without_runs_is_a_run(tmp_path):
    source = write_sessions(tmp_path)
    source["observations"] = {"file": "ses-{session}.txt", "condition": 0, "run": None}
    assert read_patterns(source, tmp_path, "01")["IT"].runs == ["1"] * 4 + ["2"] * 2


def write_file_per_condition(folder, names):
    write_study(folder)
    for number, name in enumerate(names):
        write_image(folder / "sub-01" / f"beta_{name}.nii.gz", VOLUMES[..., number])
    return block(files="sub-01/beta_{condition}.nii.gz", observations=None)


def test_a_file_per_condition(tmp_path):
    names = ["a 1", "cat", "dog", "x.y", "z[1]", "é"]
    source = write_file_per_condition(tmp_path, names)
    found = read_patterns(source, tmp_path, "01")
    assert_measured(found)
    assert found["V1"].conditions == names
    assert found["V1"].runs is None
    assert len(pattern_files(source, tmp_path)) == N + 2


def test_a_file_per_condition_of_a_list(tmp_path):
    source = write_file_per_condition(tmp_path, list("abcdef"))
    (tmp_path / "names.txt").write_text("e\nb\n")
    source["conditions"] = conditions("list", file="names.txt")
    found = read_patterns(source, tmp_path, "01")
    assert_measured(found, {roi: values[[4, 1]] for roi, values in MEASURED.items()})
    assert pattern_conditions(source, tmp_path, "01") == ["e", "b"]
    assert "names.txt" in pattern_files(source, tmp_path)


def test_numbered_files_are_the_rows_of_a_table(tmp_path):
    # As text, 10 would come before 9.
    source = write_file_per_condition(tmp_path, range(7, 13))
    source["observations"] = {"file": "table.txt", "condition": 0, "run": 1}
    found = read_patterns(source, tmp_path, "01")
    assert_measured(found)
    assert found["IT"].conditions == CONDITIONS


def test_a_file_per_roi_needs_no_mask(tmp_path):
    for roi, place in PLACES.items():
        write_image(tmp_path / f"{roi}.nii.gz", np.where(place[..., None], VOLUMES, 0))
    write_table(tmp_path / "table.txt")
    rois = {"names": ["V1", "IT"], "from": "file_name"}
    assert_measured(read_patterns(block(files="{roi}.nii.gz", rois=rois), tmp_path, "01"))


def test_sizes_are_those_of_what_is_read(tmp_path):
    folder = write_study(tmp_path)
    np.save(folder / "channels_first.npy", ARRAY.T)
    areas = {"area": np.array(["V1", "V1", "V1", "IT"])}
    Dataset(ARRAY, obs_descriptors={"c": CONDITIONS}, channel_descriptors=areas).save(
        str(folder / "p.h5"), file_type="hdf5"
    )
    by_area = {"names": ["V1", "IT"], "from": "descriptor"}
    for source in (
        block(),
        write_sessions(folder),
        named_by_list(folder, files="channels_first.npy"),
        block(files="p.h5", rois=by_area, observations=None),
    ):
        found = read_patterns(source, folder, "01")
        n_observations, n_channels = pattern_sizes(source, folder, "01")
        assert n_channels == {roi: own.measurements.shape[1] for roi, own in found.items()}
        assert {len(own.measurements) for own in found.values()} == {n_observations}


def test_useless_channels_are_dropped_and_counted(tmp_path, caplog):
    folder = write_study(tmp_path)
    values = VOLUMES.astype(np.float32)
    (x, y, z) = np.argwhere(PLACES["V1"])[:3]
    values[(*x, 2)], values[tuple(y)], values[(*z, 0)] = np.nan, 5, np.inf
    write_image(folder / "bold.nii.gz", values)
    with caplog.at_level(logging.INFO):
        found = read_patterns(block(), folder, "01")
    assert_measured(found, {"V1": MEASURED["V1"][:, 3:], "IT": MEASURED["IT"]})
    assert len(found["V1"].channels["x"]) == 12
    (record,) = caplog.messages
    assert record == "01, V1: dropped 3 of 15 channels: 2 with NaN or infinite values, 1 constant"


def test_losing_many_channels_is_a_warning(tmp_path, caplog):
    folder = write_study(tmp_path)
    values = VOLUMES.astype(np.float32)
    lost = np.argwhere(PLACES["V1"])
    for n, warned in ((1, 0), (2, 1)):  # of 15: 7 % and 13 %
        values[(*lost[n - 1], 0)] = np.nan
        write_image(folder / "bold.nii.gz", values)
        caplog.clear()
        read_patterns(block(), folder, "01")
        assert [record.levelname for record in caplog.records] == ["WARNING"] * warned


@pytest.mark.parametrize("n_missing", [15, 12])
def test_observation_without_values_is_named(tmp_path, n_missing):
    """Of the 15 voxels of V1; one outside of the brain has no values in any volume."""
    folder = write_study(tmp_path)
    values = VOLUMES.astype(np.float32)
    voxels = np.argwhere(PLACES["V1"])
    values[tuple(voxels[0])] = np.nan
    for voxel in voxels[:n_missing]:
        values[(*voxel, 4)] = np.nan
    write_image(folder / "bold.nii.gz", values)
    assert_stops(
        lambda: read_patterns(block(), folder, "01"),
        where="01, V1",
        found=r"1 of 6 observations .*\(the first is number 5, 'house' in run '2'\)",
        expected="values in all",
        advice="observations.drop",
    )


def test_coverage_that_differs_in_all_observations_is_no_fault_of_one(tmp_path, caplog):
    """Each of six volumes has values in four voxels that no other has, and all have in three."""
    values = np.full((N, 27), np.nan)
    values[:, :3] = VOLUMES[0, 0, 0, :, None] * [1, 2, 3]
    for i in range(N):
        values[i, 3 + 4 * i : 7 + 4 * i] = 5
    np.save(tmp_path / "a.npy", values)
    found = read_patterns(named_by_list(tmp_path, files="a.npy"), tmp_path, "01")["V1"]
    np.testing.assert_array_equal(found.measurements, values[:, :3])
    assert "dropped 24 of 27 channels: 24 with NaN" in caplog.text


def test_what_is_dropped_need_not_have_values():
    """A drift and a scale per run are taken off as if the missing volume had been measured.

    Where values are a line over time and nothing else, nothing is left of them: the volumes after
    the gap would be off by the slope if it did not count as time.
    """
    n = 8
    runs = ["1"] * n + ["2"] * n
    times = np.tile(np.arange(n), 2)[:, None]
    line = 100 + times * np.array([3.0, -2, 0.5]) + np.repeat([0, 7], n)[:, None]
    signal = np.random.default_rng(0).standard_normal((2 * n, 3))
    conditions = [*"abc", "rest", *"bca", "rest"] * 2
    line[3] = signal[3] = np.nan
    trendless = prepare_patterns(
        Patterns(line, conditions, runs, {}), detrend=True, drop=["rest"], what="x"
    )
    assert trendless.conditions == [name for name in conditions if name != "rest"]
    np.testing.assert_allclose(trendless.measurements, 0, atol=1e-12)
    scaled = prepare_patterns(
        Patterns(signal, conditions, runs, {}), standardise="run", drop=["rest"], what="x"
    )
    known = scipy.stats.zscore(np.delete(signal[:n], 3, axis=0), axis=0, ddof=1)
    np.testing.assert_allclose(scaled.measurements[:6], known[:6])
    assert np.isfinite(scaled.measurements).all()


@pytest.mark.parametrize("n_missing", [15, 12])
def test_dropped_observation_without_values_costs_no_channel(tmp_path, n_missing):
    folder = write_study(tmp_path)
    values = VOLUMES.astype(np.float32)
    for voxel in np.argwhere(PLACES["V1"])[:n_missing]:
        values[(*voxel, 3)] = np.nan
    write_image(folder / "bold.nii.gz", values)
    source = block()
    source["observations"]["drop"] = ["rest"]
    found = extract_patterns(
        source,
        folder,
        "01",
        match="exact",
        detrend=False,
        standardise="none",
        remove_mean_pattern=False,
    )
    kept = [1, 2, 4, 5]
    assert_measured(found, {roi: whole[kept] for roi, whole in MEASURED.items()})


def test_names_of_conditions_need_no_voxels(tmp_path, monkeypatch):
    folder = write_study(tmp_path)
    source = block()
    source["observations"]["drop"] = ["rest"]
    for module in (pattern_images, nifti_files):
        monkeypatch.delattr(module, "volume_blocks")
    assert pattern_conditions(source, folder, "01") == ["face", "house"]


def test_dropping_what_nobody_saw_is_told(tmp_path, caplog):
    source = block()
    source["observations"]["drop"] = ["rset"]
    names = pattern_conditions(source, write_study(tmp_path), "01")
    assert names == ["rest", "face", "house"]
    assert "table.txt: found no observation of 'rset'" in caplog.text


REPEATS = ["rest", "face.jpg", "house.jpg", "rep_rest", "rep_house.jpg", "rep_face.jpg"]


def test_repeats_are_averaged_as_observations_of_their_image(tmp_path):
    """BOLD5000 shows images again under the name rep_<image>."""
    folder = write_study(tmp_path)
    source = block()
    expected = condition_means(read_patterns(source, folder, "01")["V1"])[1]
    write_table(folder / "table.txt", names=REPEATS)
    assert pattern_conditions(source, folder, "01", "normalised") == [
        "rest",
        "face.jpg",
        "house.jpg",
    ]
    found = read_patterns(source, folder, "01", "normalised")["V1"]
    np.testing.assert_allclose(condition_means(found)[1], expected)
    # To the letter they are six conditions.
    assert pattern_conditions(source, folder, "01") == REPEATS


def test_repeats_can_be_dropped(tmp_path):
    folder = write_study(tmp_path)
    write_table(folder / "table.txt", names=REPEATS)
    source = block()
    source["observations"]["drop"] = ["rep_face.jpg", "rest", "rep_rest"]
    assert pattern_conditions(source, folder, "01", "normalised") == ["face.jpg", "house.jpg"]
    found = read_patterns(source, folder, "01", "normalised")["V1"]
    kept = ["rest", "face.jpg", "house.jpg", "rep_rest", "house.jpg", "rep_face.jpg"]
    assert found.conditions == kept


TABLES = {
    "table.csv": ("category,run,onset\n", "{},{},0.5\n"),
    "table.tsv": ("onset\trun\tcategory\n", "0.5\t{1}\t{0}\n"),
    "table.txt": ("category run\n", "{}  {} \n"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_with_a_header(tmp_path, name):
    folder = write_study(tmp_path)
    header, row = TABLES[name]
    rows = [row.format(*labels) for labels in zip(CONDITIONS, RUNS, strict=True)]
    (folder / name).write_text(header + "".join(rows))
    given = {"file": name, "condition": "category", "run": "run"}
    found = read_patterns(block(observations=given), folder, "01")["V1"]
    assert (found.conditions, found.runs) == (CONDITIONS, RUNS)


@pytest.mark.parametrize("origin", ["list", "order"])
def test_images_named_without_a_table(tmp_path, origin):
    folder = write_study(tmp_path)
    (folder / "names.csv").write_text("name\n" + "\n".join(CONDITIONS))
    given = conditions(origin, file="names.csv", column="name", pattern="beta{:02d}")
    found = read_patterns(block(observations=None, conditions=given), folder, "01")["V1"]
    by_order = [f"beta{number:02d}" for number in range(1, N + 1)]
    assert found.conditions == {"list": CONDITIONS, "order": by_order}[origin]
    assert found.runs is None


# Arrays.

ARRAY = np.random.default_rng(1).standard_normal((N, 4))


def write_npz(folder):
    np.savez(folder / "p.npz", x=ARRAY, names=np.array(CONDITIONS), runs=np.array(RUNS, int))
    return {"files": "p.npz", "key": "x"}, "names", "runs"


def write_matlab5(folder):
    runs = np.array(RUNS, float)
    scipy.io.savemat(folder / "p.mat", {"x": ARRAY, "names": cells(CONDITIONS), "runs": runs})
    return {"files": "p.mat", "key": "x"}, "names", "runs"


def write_matlab73(folder):
    variables = {"x": ARRAY, "names": cells(CONDITIONS), "runs": np.array(RUNS, float)}
    write_matlab73_variables(folder / "p.mat", variables)
    return {"files": "p.mat", "key": "x"}, "names", "runs"


def write_hdf5(folder):
    with h5py.File(folder / "p.h5", "w") as file:
        file["x"], file["names"], file["runs"] = ARRAY, CONDITIONS, RUNS
    return {"files": "p.h5", "key": "x"}, "names", "runs"


def write_rsatoolbox(folder):
    observations = {"stimulus": CONDITIONS, "run": RUNS}
    dataset = Dataset(ARRAY, obs_descriptors=observations, channel_descriptors={"x": [4, 5, 6, 7]})
    dataset.save(str(folder / "p.h5"))
    return {"files": "p.h5"}, None, None


def write_csv(folder):
    table = pd.DataFrame(ARRAY, columns=[f"voxel {i}" for i in range(4)])
    table.insert(0, "name", CONDITIONS)
    table.insert(3, "run", RUNS)
    table.to_csv(folder / "p.csv", index=False)
    return {"files": "p.csv"}, None, None


def write_tsv(folder):
    table = pd.DataFrame(ARRAY, index=CONDITIONS).assign(scan=RUNS)
    table.to_csv(folder / "p.tsv", sep="\t")
    return {"files": "p.tsv"}, None, "scan"


WRITERS = [
    *(write_npz, write_matlab5, write_matlab73, write_hdf5),
    *(write_rsatoolbox, write_csv, write_tsv),
]
ONE_ROI = {"names": ["V1"], "from": "constant"}


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_arrays_of_every_format(tmp_path, write):
    keys, names, runs = write(tmp_path)
    given = {"file": None, "condition": names, "run": runs, "drop": ["rest"]}
    source = block(**keys, rois=ONE_ROI, observations=given)
    found = read_patterns(source, tmp_path, "01")["V1"]
    np.testing.assert_allclose(found.measurements, ARRAY, rtol=1e-15)
    assert (found.conditions, found.runs) == (CONDITIONS, RUNS)
    assert pattern_conditions(source, tmp_path, "01") == ["face", "house"]


@pytest.mark.parametrize("key", ["run", "condition"])
@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_key_that_names_no_variable_is_the_one_to_correct(tmp_path, write, key):
    keys, names, runs = write(tmp_path)
    given = {"file": None, "condition": names, "run": runs, "drop": ["rest"], key: "nowhere"}
    source = block(**keys, rois=ONE_ROI, observations=given)
    with pytest.raises(InputError, match="nowhere") as stopped:
        read_patterns(source, tmp_path, "01")
    # Of a table the whole block is named, with the columns that there are.
    told = "correct `observations`" if keys["files"].endswith("sv") else f"by `observations.{key}`"
    assert told in str(stopped.value)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_stored_names_may_be_named_by_the_conditions_block(tmp_path, write):
    keys, names, _ = write(tmp_path)
    given = conditions("stored", key=names)
    source = block(**keys, rois=ONE_ROI, observations=None, conditions=given)
    assert read_patterns(source, tmp_path, "01")["V1"].conditions == CONDITIONS


def named_by_list(folder, **keys):
    (folder / "names.txt").write_text("\n".join(CONDITIONS))
    given = conditions("list", file="names.txt")
    return block(**{"rois": ONE_ROI, "observations": None, "conditions": given, **keys})


def test_matlab_users_save_channels_first(tmp_path):
    np.save(tmp_path / "p.npy", ARRAY.T)
    found = read_patterns(named_by_list(tmp_path, files="p.npy"), tmp_path, "01")
    np.testing.assert_array_equal(found["V1"].measurements, ARRAY)


def test_rows_are_observations_where_both_lengths_agree(tmp_path):
    square = np.random.default_rng(0).standard_normal((N, N))
    np.save(tmp_path / "p.npy", square)
    found = read_patterns(named_by_list(tmp_path, files="p.npy"), tmp_path, "01")
    np.testing.assert_array_equal(found["V1"].measurements, square)


@pytest.mark.parametrize("mapped", [False, True])
def test_subjects_and_sessions_along_axes(tmp_path, mapped):
    array = np.random.default_rng(0).standard_normal((3, N, 1, 4, 2))
    np.save(tmp_path / "p.npy", array)
    subjects = {"c": 2, "a": 0} if mapped else ["a", "b", "c"]
    source = named_by_list(
        tmp_path,
        files="p.npy",
        subjects={"names": subjects, "from": "axis", "axis": 0},
        sessions={"names": ["s1", "s2"], "from": "axis", "axis": 3},
    )
    found = read_patterns(source, tmp_path, "c")["V1"]
    expected = np.concatenate([array[2, :, 0, :, 0], array[2, :, 0, :, 1]])
    np.testing.assert_array_equal(found.measurements, expected)
    assert found.runs == ["s1"] * N + ["s2"] * N


@pytest.mark.parametrize("shape", [(N, 4), (1, N, 4)])
def test_the_axis_of_a_single_subject_may_be_lost(tmp_path, shape):
    np.save(tmp_path / "p.npy", ARRAY.reshape(shape))
    subjects = {"names": ["01"], "from": "axis", "axis": 0}
    source = named_by_list(tmp_path, files="p.npy", subjects=subjects)
    np.testing.assert_array_equal(read_patterns(source, tmp_path, "01")["V1"].measurements, ARRAY)


def test_rois_by_variable_and_by_file(tmp_path):
    np.savez(tmp_path / "p.npz", V1=ARRAY[:, :1], IT=ARRAY[:, 1:])
    np.save(tmp_path / "V1.npy", ARRAY[:, :1])
    np.save(tmp_path / "IT.npy", ARRAY[:, 1:])
    expected = {"V1": ARRAY[:, :1], "IT": ARRAY[:, 1:]}
    names = ["V1", "IT"]
    by_key = {"files": "p.npz", "key": "{roi}", "rois": {"names": names, "from": "key"}}
    by_file = {"files": "{roi}.npy", "rois": {"names": names, "from": "file_name"}}
    for keys in (by_key, by_file):
        assert_measured(read_patterns(named_by_list(tmp_path, **keys), tmp_path, "01"), expected)


@pytest.mark.parametrize("descriptor", [None, "area"])
def test_rois_by_channel_descriptor(tmp_path, descriptor):
    channels = {"area": ["LOC", "V1", "V1", "IT"], "x": [4, 5, 6, 7]}
    Dataset(ARRAY, obs_descriptors={"c": CONDITIONS}, channel_descriptors=channels).save(
        str(tmp_path / "p.h5")
    )
    rois = {"names": {"early": "V1", "late": "IT"}, "from": "descriptor", "descriptor": descriptor}
    found = read_patterns(block(files="p.h5", rois=rois, observations=None), tmp_path, "01")
    assert_measured(found, {"early": ARRAY[:, 1:3], "late": ARRAY[:, 3:]})
    assert found["early"].channels["x"].tolist() == [5, 6]


def test_missing_cells_of_a_table_drop_the_channel(tmp_path):
    (tmp_path / "p.csv").write_text("name,a,b,c\nx,1,,3\ny,4,NA,6\n")
    found = read_patterns(block(files="p.csv", rois=ONE_ROI, observations=None), tmp_path, "01")[
        "V1"
    ]
    np.testing.assert_array_equal(found.measurements, [[1, 3], [4, 6]])
    assert found.channels["name"].tolist() == ["a", "c"]


# Preparing.


def random_patterns(seed, n_runs=3, n_conditions=4, n_channels=6, most_repeats=1):
    """Return patterns with a trend and an offset per run, conditions in random order per run."""
    rng = np.random.default_rng(seed)
    names, runs = [], []
    for run in range(n_runs):
        own = np.repeat(np.arange(n_conditions), rng.integers(1, most_repeats + 1, n_conditions))
        names += [f"c{i}" for i in rng.permutation(own)]
        runs += [f"r{run}"] * len(own)
    time = np.arange(len(names))[:, np.newaxis]
    values = rng.standard_normal((len(names), n_channels)) + time * rng.standard_normal(n_channels)
    return Patterns(values + 100, names, runs, {"x": np.arange(n_channels)})


@given(seed=st.integers(0, 1000), detrend=st.booleans(), standardise=st.booleans())
def test_preparation_equals_that_of_nilearn(seed, detrend, standardise):
    patterns = random_patterns(seed, most_repeats=3)
    found = prepare_patterns(
        patterns, detrend=detrend, standardise="run" if standardise else "none"
    )
    expected = clean(
        patterns.measurements.copy(),
        runs=np.unique(patterns.runs, return_inverse=True)[1],
        detrend=detrend,
        standardize="zscore_sample" if standardise else None,
    )
    np.testing.assert_allclose(found.measurements, expected, rtol=0, atol=1e-9)


def test_runs_are_standardised_before_conditions_are_dropped():
    patterns = random_patterns(0, most_repeats=3)
    kept = [row for row, name in enumerate(patterns.conditions) if name != "c1"]
    whole = prepare_patterns(patterns, detrend=True, standardise="run")
    found = prepare_patterns(patterns, detrend=True, standardise="run", drop=["c1"])
    np.testing.assert_array_equal(found.measurements, whole.measurements[kept])
    assert "c1" not in found.conditions
    assert len(found.runs) == len(found.conditions) == len(kept)


def test_the_mean_pattern_is_that_of_conditions_not_of_observations():
    patterns = random_patterns(0, n_runs=2, most_repeats=4)
    found = prepare_patterns(patterns, remove_mean_pattern=True, drop=["c3"])
    means, counts = run_means(found, ["c0", "c1", "c2"])
    assert len(set(counts[0])) > 1
    np.testing.assert_allclose(means.mean(axis=1), 0, atol=1e-12)


def test_without_runs_all_observations_are_one():
    patterns = random_patterns(0)
    one_run = Patterns(patterns.measurements, patterns.conditions, None, patterns.channels)
    found = prepare_patterns(one_run, standardise="run")
    np.testing.assert_allclose(found.measurements.std(axis=0, ddof=1), 1)


def test_no_step_changes_nothing():
    patterns = random_patterns(0)
    assert prepare_patterns(patterns) is patterns


@pytest.mark.parametrize("straight", [False, True])
def test_a_channel_that_stands_still_in_one_run_is_dropped(straight, caplog):
    patterns = random_patterns(0, n_conditions=6)
    values = patterns.measurements.copy()
    rows = [row for row, run in enumerate(patterns.runs) if run == "r1"]
    values[rows, 2] = 1000 + (0.1 * np.arange(len(rows)) if straight else 0)
    still = Patterns(values, patterns.conditions, patterns.runs, patterns.channels)
    with caplog.at_level(logging.INFO):
        found = prepare_patterns(still, detrend=True, standardise="run", what="01, V1")
    assert found.channels["x"].tolist() == [0, 1, 3, 4, 5]
    assert "01, V1: dropped 1 of 6 channels: constant within a run" in caplog.text


# Averaging.


@given(seed=st.integers(0, 1000))
def test_means_equal_those_of_pandas(seed):
    patterns = random_patterns(seed, most_repeats=3)
    table = pd.DataFrame(patterns.measurements)
    names, means = condition_means(patterns)
    assert names == list(dict.fromkeys(patterns.conditions))
    expected = table.groupby(np.array(patterns.conditions)).mean().loc[names]
    np.testing.assert_allclose(means, expected, rtol=1e-12)
    chosen = names[::-1][:3]
    by_run, counts = run_means(patterns, chosen)
    groups = table.groupby([np.array(patterns.runs), np.array(patterns.conditions)])
    for r, run in enumerate(dict.fromkeys(patterns.runs)):
        expected = groups.mean().loc[run].loc[chosen]
        np.testing.assert_allclose(by_run[r], expected, rtol=1e-12)
        assert counts[r].tolist() == groups.size().loc[run].loc[chosen].tolist()
    # In the order that is asked for, whatever the metric.
    found, no_counts = means_for(patterns, chosen, "correlation")
    expected = table.groupby(np.array(patterns.conditions)).mean().loc[chosen]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert no_counts is None
    np.testing.assert_array_equal(means_for(patterns, chosen, "crossnobis")[0], by_run)


def test_residuals_are_those_of_rsatoolbox():
    patterns = random_patterns(0, most_repeats=4)
    residuals, dof = noise_residuals(patterns)
    cell = [f"{name} {run}" for name, run in zip(patterns.conditions, patterns.runs, strict=True)]
    dataset = Dataset(patterns.measurements, obs_descriptors={"cell": cell})
    expected = cov_from_unbalanced(dataset, "cell", method="full")
    np.testing.assert_allclose(residuals.T @ residuals / dof, expected, rtol=1e-10, atol=1e-12)


def one_beta_each(seed, n_runs=5, n_conditions=7, n_channels=4, missing=0):
    """Return patterns with one beta per condition and run but for some, and a run's own mean."""
    rng = np.random.default_rng(seed)
    cells = [(f"c{c}", f"r{r}") for r in range(n_runs) for c in rng.permutation(n_conditions)]
    cells = [cells[i] for i in sorted(rng.permutation(len(cells))[missing:])]
    names, runs = map(list, zip(*cells, strict=True))
    effects = {label: rng.standard_normal(n_channels) for label in {*names, *runs}}
    noise = rng.standard_normal((len(cells), n_channels))
    values = noise + [100 + effects[name] + 3 * effects[run] for name, run in cells]
    return Patterns(values, names, runs, {}), noise


@pytest.mark.parametrize("method", ["full", "diag", "shrinkage_diag"])
def test_noise_of_one_beta_each_is_that_of_rsatoolbox_once_runs_lose_their_mean(method):
    patterns, _ = one_beta_each(0)
    residuals, dof = noise_residuals(patterns)
    assert dof == (5 - 1) * (7 - 1)
    table = pd.DataFrame(patterns.measurements)
    centred = (table - table.groupby(np.array(patterns.runs)).transform("mean")).to_numpy()
    dataset = Dataset(centred, obs_descriptors={"condition": patterns.conditions})
    expected = cov_from_unbalanced(dataset, "condition", dof=dof, method=method)
    shrunk = noise_covariance(residuals, dof=dof)
    found = {
        "full": residuals.T @ residuals / dof,
        "diag": np.diag(np.diagonal(shrunk)),
        "shrinkage_diag": shrunk,
    }[method]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@given(seed=st.integers(0, 1000), missing=st.integers(0, 12))
def test_noise_of_one_beta_each_is_what_an_additive_model_leaves(seed, missing):
    """Also where runs lack conditions, or fall into two halves without a condition in common."""
    patterns, _ = one_beta_each(seed, missing=missing)
    residuals, dof = noise_residuals(patterns)
    design = np.hstack(
        [pd.get_dummies(labels).to_numpy(float) for labels in (patterns.conditions, patterns.runs)]
    )
    fitted = design @ np.linalg.pinv(design) @ patterns.measurements
    np.testing.assert_allclose(residuals, patterns.measurements - fitted, atol=1e-9)
    assert dof == len(design) - np.linalg.matrix_rank(design)


def test_variance_of_noise_is_found_without_bias():
    """Wrong degrees of freedom would miss it by a fifth: 28 observations for 18."""
    estimates = []
    for seed in range(400):
        patterns, _ = one_beta_each(seed, n_runs=4, n_conditions=7)
        residuals, dof = noise_residuals(patterns)
        estimates.append((residuals**2).sum(axis=0) / dof)
    # A mean of 400 x 4 estimates, each of variance 2 / 18.
    assert np.mean(estimates) == pytest.approx(1, abs=4 * np.sqrt(2 / 18 / 1600))


def test_repeats_within_a_run_are_all_that_noise_is_estimated_from():
    patterns, _ = one_beta_each(0)
    doubled = Patterns(
        np.vstack([patterns.measurements, patterns.measurements + 1]),
        patterns.conditions * 2,
        patterns.runs * 2,
        {},
    )
    residuals, dof = noise_residuals(doubled)
    assert dof == 35
    np.testing.assert_allclose(np.abs(residuals), 0.5, atol=1e-12)


@pytest.mark.parametrize("runs", [None, ["r1"] * 5])
def test_without_repeats_there_is_no_noise(runs):
    patterns = Patterns(np.random.default_rng(0).random((5, 3)), list("abcde"), runs, {})
    residuals, dof = noise_residuals(patterns)
    assert dof == 0
    with pytest.raises(InputError, match="one observation of each condition, or one run"):
        noise_normalised(patterns.measurements, residuals, dof=dof, method="diagonal")


def test_channel_without_noise_is_found_whatever_rounding_leaves_of_it():
    patterns, _ = one_beta_each(1)
    values = patterns.measurements.copy()
    values[:, 2] = [
        0.1 * int(run[1:]) + 0.7 * int(name[1:])
        for name, run in zip(patterns.conditions, patterns.runs, strict=True)
    ]
    residuals, dof = noise_residuals(Patterns(values, patterns.conditions, patterns.runs, {}))
    with pytest.raises(InputError, match="found 1 of 4 channels that never vary between repeats"):
        noise_normalised(values, residuals, dof=dof, method="diagonal")


# Bad input: every case changes one thing of a good study.


def damage_image(folder, name="bold.nii.gz", keep=0.6):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(keep * len(content))])


def break_header(folder):
    content = bytearray(gzip.decompress((folder / "bold.nii.gz").read_bytes()))
    content[70:72] = (1234).to_bytes(2, "little")  # the data type
    (folder / "bold.nii.gz").write_bytes(gzip.compress(bytes(content)))


def shift_mask(folder):
    shifted = AFFINE.copy()
    shifted[0, 3] += 1.5
    write_image(folder / "IT.nii", PLACES["IT"].astype(np.uint8), shifted)


CHANGES = {
    "missing image": (
        lambda folder: (folder / "bold.nii.gz").unlink(),
        {},
        ("bold.nii.gz", "no such file", "a NIfTI image", "check the folder"),
    ),
    "missing mask": (
        lambda folder: (folder / "V1.nii").unlink(),
        {},
        ("V1.nii", "no such file", "a NIfTI image", "check the folder"),
    ),
    "missing table": (
        lambda folder: (folder / "table.txt").unlink(),
        {},
        ("table.txt", "no such file", "a table with a row per observation", "correct"),
    ),
    "broken header": (
        break_header,
        {},
        ("bold.nii.gz", "no readable NIfTI image", "a whole one", "download"),
    ),
    "half an image": (
        damage_image,
        {},
        ("bold.nii.gz", "no readable NIfTI image", "a whole one", "download"),
    ),
    "empty file": (
        lambda folder: (folder / "bold.nii.gz").write_bytes(b""),
        {},
        ("bold.nii.gz", "no readable NIfTI image", "a whole one", "download"),
    ),
    "text in place of an image": (
        lambda folder: (folder / "bold.nii.gz").write_text("<html>404</html>"),
        {},
        ("bold.nii.gz", "no readable NIfTI image", "a whole one", "download"),
    ),
    "half a mask": (
        lambda folder: damage_image(folder, "V1.nii", 0.95),
        {},
        ("V1.nii", "no readable NIfTI image", "a whole one", "download"),
    ),
    "complex numbers": (
        lambda folder: write_image(folder / "bold.nii.gz", VOLUMES.astype(np.complex64)),
        {},
        ("bold.nii.gz", "values of type complex64", "numbers", "write"),
    ),
    "five axes": (
        lambda folder: write_image(folder / "bold.nii.gz", VOLUMES.reshape(*GRID, 2, 3)),
        {},
        ("bold.nii.gz", "5 axes", "x, y, z and volumes", "4D"),
    ),
    "mask of another shape": (
        lambda folder: write_image(folder / "IT.nii", np.ones((5, 4, 4), np.uint8)),
        {},
        ("IT.nii", r"\(5, 4, 4\) voxels", r"\(5, 4, 3\) as in bold", "onto that grid yourself"),
    ),
    "mask elsewhere": (
        shift_mask,
        {},
        ("IT.nii", "the affine", r"\[.*\] as in bold", "onto that grid yourself"),
    ),
    "atlas of another shape": (
        lambda folder: write_image(folder / "atlas.nii.gz", np.ones((4, 4, 3), np.uint8)),
        {"rois": {"names": {"V1": 1}, "from": "atlas", "atlas": "atlas.nii.gz"}},
        ("atlas.nii.gz", r"\(4, 4, 3\) voxels", r"\(5, 4, 3\) as in bold", "onto that grid"),
    ),
    "mask with volumes": (
        lambda folder: write_image(folder / "IT.nii", np.ones((*GRID, 2), np.uint8)),
        {},
        ("IT.nii", "2 volumes", "one", "3D mask"),
    ),
    "empty mask": (
        lambda folder: write_image(folder / "IT.nii", np.zeros(GRID, np.uint8)),
        {},
        ("IT.nii", "a mask that holds no voxel", "some for the ROI 'IT'", "leave the ROI out"),
    ),
    "nothing but NaN": (
        lambda folder: write_image(folder / "bold.nii.gz", np.full((*GRID, N), np.nan)),
        {},
        ("01, V1", "no usable channel among 15", "at least one", "leave the ROI out"),
    ),
    "label that the atlas lacks": (
        lambda folder: None,
        {"rois": {"names": {"V1": [1, 9]}, "from": "atlas", "atlas": "atlas.nii.gz"}},
        ("atlas.nii.gz", "no voxel of label 9", "some for the ROI 'V1'", "correct"),
    ),
    "label that is no number": (
        lambda folder: None,
        {"rois": {"names": ["V1"], "from": "atlas", "atlas": "atlas.nii.gz"}},
        ("rois.names.V1", "'V1'", "the whole number", "correct"),
    ),
    "ROI of an image by key": (
        lambda folder: None,
        {"rois": {"names": ["V1"], "from": "key"}, "key": "{roi}"},
        ("bold.nii.gz", "`from: key`", "one of mask", "give masks"),
    ),
    "fewer rows than volumes": (
        lambda folder: write_table(folder / "table.txt", CONDITIONS[1:], RUNS[1:]),
        {},
        ("bold.nii.gz", "6 volumes", "5 because table.txt has that many", "one row per volume"),
    ),
    "ragged table": (
        lambda folder: (folder / "table.txt").write_text("face 1\nhouse\nface 1\n"),
        {},
        ("table.txt", "3 rows of 1 and 2 cells", "a full table", "correct"),
    ),
    "empty table": (
        lambda folder: (folder / "table.txt").write_text(""),
        {},
        ("table.txt", "0 rows of no cells", "a full table", "correct"),
    ),
    "columns of one name": (
        lambda folder: (folder / "table.csv").write_text("run,run\na,1\n"),
        {"observations": {"file": "table.csv", "condition": "run"}},
        ("table.csv", "columns of one name among run, run", "each name once", "rename"),
    ),
    "binary table": (
        lambda folder: (folder / "table.txt").write_bytes(b"\xff\xfe\x00 1\n"),
        {},
        ("table.txt", "no readable text", "a table", "export"),
    ),
    "column that the table lacks": (
        lambda folder: None,
        {"observations": {"file": "table.txt", "condition": 0, "run": 2}},
        ("table.txt", "the columns 0, 1", "2", "correct `observations`"),
    ),
    "name of a column without a header": (
        lambda folder: None,
        {"observations": {"file": "table.txt", "condition": "category", "run": "run"}},
        ("table.txt", "the columns rest, 1", "'category'", "correct `observations`"),
    ),
    "table without the condition": (
        lambda folder: None,
        {"observations": {"file": "table.txt", "condition": None, "run": 1}},
        ("table.txt", "a table .* without `observations.condition`", "the column", "name it"),
    ),
    "image without names": (
        lambda folder: None,
        {"observations": None},
        ("bold.nii.gz", "no names of conditions in an image", "a table", "give one"),
    ),
    "runs in an image": (
        lambda folder: None,
        {"observations": {"file": None, "run": "run"}, "conditions": conditions("order")},
        ("bold.nii.gz", "no runs in an image", "none for 'run'", "a file per run"),
    ),
    "no file for any condition": (
        lambda folder: None,
        {"files": "beta_{condition}.nii", "observations": None},
        ("beta_{condition}.nii", "no such file for any condition", "one per", "correct"),
    ),
    "table of all sessions with other rows": (
        lambda folder: write_image(folder / "ses-2.nii.gz", VOLUMES[..., :2]),
        {
            "files": "{session}.nii.gz",
            "sessions": {"names": {"1": "bold", "2": "ses-2"}, "from": "file_name"},
        },
        ("table.txt", "6 rows", r"8, a row per .* sessions \(6 \+ 2\)", "correct the table"),
    ),
    "session on another grid": (
        lambda folder: write_image(folder / "ses-2.nii.gz", VOLUMES, AFFINE + np.eye(4)),
        {
            "files": "{session}.nii.gz",
            "sessions": {"names": {"1": "bold", "2": "ses-2"}, "from": "file_name"},
        },
        ("ses-2.nii.gz", "the affine", r"\[.*\] as in bold.nii.gz", "onto that grid yourself"),
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_bad_images_stop_with_one_sentence(tmp_path, case):
    change, keys, (where, found, expected, advice) = CHANGES[case]
    change(write_study(tmp_path))
    assert_stops(
        lambda: read_patterns(block(**keys), tmp_path, "01"),
        where=where,
        found=found,
        expected=expected,
        advice=advice,
    )


BAD_ARRAYS = {
    "missing": (lambda folder: None, {}, ("p.npy", "no such file", "patterns", "check")),
    "unknown format": (
        lambda folder: (folder / "p.xlsx").touch(),
        {"files": "p.xlsx"},
        ("p.xlsx", "the suffix '.xlsx'", "one of .nii", "export"),
    ),
    "pickled": (
        lambda folder: np.save(folder / "p.npy", np.array([{}]), allow_pickle=True),
        {},
        ("p.npy", "data that numpy cannot read without unpickling", "a numeric", "save"),
    ),
    "text": (
        lambda folder: np.save(folder / "p.npy", np.array([["a"]])),
        {},
        ("p.npy", "values of type <U1", "numbers", "name another"),
    ),
    "half a file": (
        lambda folder: (write_rsatoolbox(folder), damage_image(folder, "p.h5")),
        {"files": "p.h5"},
        ("p.h5", ".* bytes that are no complete HDF5", "a whole one", "download"),
    ),
    "one axis": (
        lambda folder: np.save(folder / "p.npy", np.arange(6.0)),
        {},
        ("p.npy", r"an array of shape \(6,\)", "observations x channels", "average"),
    ),
    "an axis too many": (
        lambda folder: np.save(folder / "p.npy", np.zeros((2, 6, 4))),
        {},
        ("p.npy", r"an array of shape \(2, 6, 4\)", "observations x channels", "describe"),
    ),
    "more subjects than along the axis": (
        lambda folder: np.save(folder / "p.npy", np.zeros((2, 6, 4))),
        {"subjects": {"names": ["01", "02", "03"], "from": "axis", "axis": 0}},
        ("p.npy", r"axes of lengths \(2, 6, 4\)", "the 3 subjects along axis 0", "correct"),
    ),
    "position beyond the axis": (
        lambda folder: np.save(folder / "p.npy", np.zeros((2, 6, 4))),
        {"subjects": {"names": {"01": 2}, "from": "axis", "axis": 0}},
        ("p.npy", r"axes of lengths \(2, 6, 4\)", "the 1 subjects along axis 0", "correct"),
    ),
    "other number of names": (
        lambda folder: np.save(folder / "p.npy", np.zeros((5, 4))),
        {},
        ("p.npy", "5 x 4 values", "6 observations because names.txt", "one name per"),
    ),
    "no names": (
        lambda folder: np.save(folder / "p.npy", ARRAY),
        {"conditions": conditions("stored")},
        ("p.npy", "no names of conditions in this format", "`conditions", "if all files|"),
    ),
    "several arrays": (
        lambda folder: np.savez(folder / "p.npz", a=ARRAY, b=ARRAY),
        {"files": "p.npz"},
        ("p.npz", "array: several", "one", "name it by `key`"),
    ),
    "mask of an array": (
        lambda folder: np.save(folder / "p.npy", ARRAY),
        {"rois": {"names": {"V1": "V1.nii"}, "from": "mask"}},
        ("p.npy", "`from: mask` for the ROIs of an array", "file_name, key", "for images"),
    ),
    "no such descriptor": (
        lambda folder: write_rsatoolbox(folder),
        {"files": "p.h5", "rois": {"names": ["V1"], "from": "descriptor"}},
        ("p.h5", "the channel descriptors x: '4'.*", "one with the ROIs 'V1'", "correct"),
    ),
    "other runs than observations": (
        lambda folder: np.savez(folder / "p.npz", x=ARRAY, runs=np.arange(5)),
        {"files": "p.npz", "key": "x", "observations": {"file": None, "run": "runs"}},
        ("names.txt", "5 runs and 6 observations", "the run of each", "correct"),
    ),
    "table without a header": (
        lambda folder: (folder / "p.csv").write_text("a,0.5,0.25\nb,1,2\n"),
        {"files": "p.csv"},
        ("p.csv", "numbers in its first row", "the names of the columns", "add a header"),
    ),
    "word in a table": (
        lambda folder: (folder / "p.csv").write_text("name,x,y\na,1,2\nb,3,four\n"),
        {"files": "p.csv"},
        ("p.csv", "the cell 'four' in row 3, column 'y'", "a number", "keep labels"),
    ),
    "ragged table": (
        lambda folder: (folder / "p.csv").write_text("name,x,y\na,1,2\nb,3\n"),
        {"files": "p.csv"},
        ("p.csv", "3 rows of 2 and 3 cells", "a full table", "correct"),
    ),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_stop_with_one_sentence(tmp_path, case):
    write, keys, (where, found, expected, advice) = BAD_ARRAYS[case]
    write(tmp_path)
    source = named_by_list(tmp_path, **{"files": "p.npy", **keys})
    with pytest.raises(InputError) as error:
        read_patterns(source, tmp_path, "01")
    message = str(error.value)
    assert "\n" not in message
    assert re.search(f"{where}.*found {found}.*expected {expected}", message), message
    assert re.search(advice, message), message


def test_rois_must_name_their_observations_alike(tmp_path):
    for roi, names in {"V1": ["a", "b"], "IT": ["b", "a"]}.items():
        np.savez(tmp_path / f"{roi}.npz", x=ARRAY[:2], names=names)
    rois = {"names": ["V1", "IT"], "from": "file_name"}
    source = block(files="{roi}.npz", key="x", rois=rois, observations=None)
    assert_stops(
        lambda: read_patterns(source, tmp_path, "01"),
        where="V1.npz",
        found="other conditions or runs for the ROI 'IT' than for 'V1'",
        expected="the same observations",
        advice="sort",
    )


def test_sessions_must_have_the_same_channels(tmp_path):
    for session in (3, 4):
        np.save(tmp_path / f"{session}.npy", ARRAY[:, :session])
    sessions = {"names": [3, 4], "from": "file_name"}
    source = named_by_list(tmp_path, files="{session}.npy", sessions=sessions)
    assert_stops(
        lambda: read_patterns(source, tmp_path, "01"),
        where="01, V1",
        found=r"other channels in one session \(4\) than in the first \(3\)",
        expected="the same ones",
        advice="use one mask",
    )


BAD_STEPS = {
    "run too short": (
        {"detrend": True},
        Patterns(np.eye(2), ["a", "b"], ["1", "1"], {}),
        ("a run of 2 observation", "at least 3", "set detrend to false"),
    ),
    "one observation per run": (
        {"standardise": "run"},
        Patterns(np.eye(2), ["a", "b"], ["1", "2"], {}),
        ("no usable channel among 2 .constant within a run", "at least one", "leave the ROI out"),
    ),
    "everything dropped": (
        {"drop": ["a", "b"]},
        Patterns(np.eye(2), ["a", "b"], None, {}),
        ("no condition but those in observations.drop", "some", "correct"),
    ),
}


@pytest.mark.parametrize("case", BAD_STEPS)
def test_impossible_steps_stop_with_one_sentence(case):
    steps, patterns, (found, expected, advice) = BAD_STEPS[case]
    assert_stops(
        lambda: prepare_patterns(patterns, **steps, what="01, V1"),
        where="01, V1",
        found=found,
        expected=expected,
        advice=advice,
    )


def test_crossvalidation_needs_every_condition_in_every_run():
    patterns = Patterns(np.eye(3), ["a", "b", "a"], ["1", "1", "2"], {})
    assert_stops(
        lambda: run_means(patterns, ["a", "b"]),
        where="",
        found="no observation of 'b' in run '2'",
        expected="every condition in every run",
        advice="drop the condition",
    )
    assert run_means(patterns, ["a"])[0].shape == (2, 1, 3)


def test_crossvalidation_needs_runs():
    patterns = Patterns(np.eye(2), ["a", "b"], None, {})
    assert_stops(
        lambda: run_means(patterns, ["a", "b"]),
        where="",
        found="observations without runs",
        expected="the run of each",
        advice="observations.run",
    )


def test_group_instead_of_an_array(tmp_path):
    """The readers are shared with RDMs, the words are not."""
    with h5py.File(tmp_path / "lab.h5", "w") as file:
        file["s1/responses"] = np.eye(3)
    with open_pattern_file(tmp_path / "lab.h5", "lab.h5", key="s1/responses") as opened:
        np.testing.assert_array_equal(opened.array, np.eye(3))

    def open_group():
        with open_pattern_file(tmp_path / "lab.h5", "lab.h5"):
            pass

    assert_stops(
        open_group,
        where=r"lab\.h5, s1: ",
        found="a group of 'responses'",
        expected="an array of numbers",
        advice="for example s1/<name>",
    )
