"""BData is read as its layout is documented, and as bdpy reads it; loose selectors are refused."""

import bdpy
import h5py
import numpy as np
import pytest

from scripts.reconstruction.data.bdata_files import Session, image_id, image_name, write_bdata
from workflow.lib.errors import InputError
from workflow.lib.patterns.bdata import BData

KEYS = ("VoxelData", "ROI_V1", "ROI_V2", "ROI_VC", "ROI_none", "Run", "Label", "stimulus_name")
# Six voxels, a run, and two labels.
HOLD = {
    "VoxelData": [1, 1, 1, 1, 1, 1, np.nan, np.nan, np.nan],
    "ROI_V1": [1, 1, 0, 0, 0, 0, np.nan, np.nan, np.nan],
    "ROI_V2": [0, 1, 1, 0, 0, 0, np.nan, np.nan, np.nan],
    "ROI_VC": [1, 1, 1, 1, 0, 0, np.nan, np.nan, np.nan],
    "ROI_none": [0, 0, 0, 0, 0, 0, np.nan, np.nan, np.nan],
    "Run": [np.nan] * 6 + [1, np.nan, np.nan],
    "Label": [np.nan] * 7 + [1, 1],
    "stimulus_name": [np.nan] * 8 + [1],
}
DATASET = np.column_stack(
    [np.arange(24.0).reshape(4, 6), [1, 1, 2, 2], [2, 2, 2, 1], [1, 3, 1, np.nan]]
)
TEXTS = {"1.0": b"n01518878_5958", "3.0": b"n00000001_20"}


def written_by_hand(path, *, dataset=DATASET, hold=HOLD, texts=TEXTS, older=False):
    with h5py.File(path, "w") as file:
        file["dataSet" if older else "dataset"] = dataset
        metadata = file.create_group("metaData" if older else "metadata")
        metadata["key"] = np.array([key.encode() for key in hold])
        metadata["description"] = np.array([f"1 = {key}".encode() for key in hold])
        metadata["value"] = np.array(list(hold.values()))
        file.create_group("header")
        for number, text in texts.items():
            file[f"vmap/stimulus_name/{number}"] = text
    return path


@pytest.fixture
def path(tmp_path):
    return written_by_hand(tmp_path / "sub-01_ImageNetTest_fmriprep_volume_native.h5")


@pytest.mark.parametrize("older", [False, True])
def test_a_file_written_by_hand_is_read(tmp_path, older):
    with BData(written_by_hand(tmp_path / "a.h5", older=older)) as data:
        assert (data.n_samples, data.n_columns) == (4, 9)
        assert data.keys == list(KEYS)
        assert data.responses("ROI_V1 = 1").nonzero()[0].tolist() == [0, 1]
        assert data.values(data.responses("ROI_V2 = 1")).tolist() == [
            [1, 2],
            [7, 8],
            [13, 14],
            [19, 20],
        ]
        assert data.names() == ["n01518878_5958", "n00000001_20", "n01518878_5958", None]
        assert data.numbers("Run").tolist() == [1, 1, 2, 2]
        assert data.numbers("Session") is None


@pytest.mark.parametrize("rest", [b"n/a", b"", b"N/A "])
def test_rest_that_is_coded_as_text_is_no_image(tmp_path, rest):
    """As columns of BIDS event tables have it for trials without an image."""
    coded = written_by_hand(tmp_path / "a.h5", texts=TEXTS | {"3.0": rest})
    with BData(coded) as data:
        assert data.names() == ["n01518878_5958", None, "n01518878_5958", None]


@pytest.mark.parametrize(
    ("selector", "columns"),
    [
        ("ROI_V1", [0, 1]),
        ('"ROI_V1" = 1', [0, 1]),
        ("ROI_V1=1|ROI_V2=1", [0, 1, 2]),
        ("ROI_V1 = 1 + ROI_V2 = 1", [0, 1, 2]),
        ("ROI_V1 = 1 & ROI_V2 = 1", [1]),
        ("ROI_VC = 1 - ROI_V1 = 1", [2, 3]),
        ("ROI_VC - (ROI_V1 | ROI_V2)", [3]),
        ("ROI_VC - ROI_V1 - ROI_V2", [3]),
        ("ROI_V*", [0, 1, 2, 3]),
    ],
)
def test_selectors_select_by_hand(path, selector, columns):
    with BData(path) as data:
        assert data.columns(selector).nonzero()[0].tolist() == columns


@pytest.mark.parametrize(
    "selector",
    [
        *("A = 1", "A", "A = 1 | B = 1", "A | B | C", "A & B = 1", "A - B", "A - B - C", "*"),
        *("A | (B & C)", "(A | B) & C", "A & (B | C) & D", "A - (B | (C & D))", "A + D"),
    ],
)
def test_selectors_select_what_bdpy_selects(tmp_path, selector):
    rng = np.random.default_rng(3)
    written = bdpy.BData()
    written.add(rng.standard_normal((5, 40)), "VoxelData")
    for key in "ABCD":
        written.add_metadata(key, rng.integers(0, 2, 40), where="VoxelData")
    written.add(rng.standard_normal((5, 3)), "Label")
    written.save(str(tmp_path / "a.h5"))
    values, columns = bdpy.BData(str(tmp_path / "a.h5")).select(selector, return_index=True)
    with BData(tmp_path / "a.h5") as data:
        np.testing.assert_array_equal(data.columns(selector), columns)
        np.testing.assert_array_equal(data.values(data.columns(selector)), values)


def trials(n_voxels=4):
    """Every image of three synsets twice; numbers that end in zeros among them."""
    pairs = [(s, i) for s in (1518878, 2437971, 15093298) for i in (1, 10, 5958, 120300)] * 2
    synsets, images = np.array(pairs).T
    rng = np.random.default_rng(0)
    runs = np.repeat([1, 2], len(pairs) // 2)
    return Session(
        rng.standard_normal((len(pairs), n_voxels)), synsets, images, runs, runs, np.zeros((24, 6))
    )


@pytest.mark.parametrize("variant", ["fmriprep", "original"])
def test_labels_of_both_variants_are_those_of_bdpy(tmp_path, variant):
    session = trials()
    rois = {"ROI_V1": np.arange(4) < 2, "ROI_VC": np.ones(4, bool)}
    write_bdata(tmp_path / "a.h5", session, rois, variant=variant)
    theirs = bdpy.BData(str(tmp_path / "a.h5"))
    shown = list(zip(session.synsets.tolist(), session.images.tolist(), strict=True))
    with BData(tmp_path / "a.h5") as data:
        np.testing.assert_array_equal(
            data.values(data.responses("ROI_VC = 1")), theirs.select("ROI_VC = 1")
        )
        np.testing.assert_array_equal(data.metadata("voxel_x"), theirs.get_metadata("voxel_x"))
        if variant == "fmriprep":
            assert data.names() == theirs.get_label("stimulus_name")
            assert data.names() == [image_name(*pair) for pair in shown]
        else:
            ids = theirs.select("Label = 1")[:, 1]
            assert data.ids() == [f"{number:.6f}" for number in ids]
            assert data.ids() == [image_id(*pair) for pair in shown]
            # What dropping zeros at the end would make of them.
            assert "1518878.00001" not in data.ids()
            assert "1518878.000010" in data.ids()


def test_zeros_at_the_end_tell_images_apart_in_as_many_rows_as_published():
    # Of numbers of images spread evenly over the last two digits, a tenth ends in a zero: 605 of
    # the 6,000 published rows.
    numbers = np.random.default_rng(1).integers(1, 30_000, 6000)
    ids = [image_id(1518878, number) for number in numbers.tolist()]
    lost = sum(str(float(text)) != text for text in ids)
    assert 540 <= lost <= 670


def test_two_writings_of_the_same_trials_are_the_same_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_bdata(tmp_path / name, trials(), {"ROI_V1": np.ones(4, bool)}, variant="fmriprep")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "a.h5").read_bytes()


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("ROI_V4 = 1", "found no key 'ROI_V4'.*ROI_V1 .2 columns.*did you mean 'ROI_V"),
        ("ROI_none = 1", "found no column that 'ROI_none = 1' selects.*ROI_VC .4 columns"),
        ("ROI_V1 = 2", "found '2', expected '1'"),
        ("ROI_V1 & ROI_V2 | ROI_VC", "different operators side by side"),
        ("(ROI_V1", r"found 'the end', expected '\)'"),
        ("ROI_V1)", r"found '\)'"),
        ("ROI_V1 ROI_V2", "found 'ROI_V2'"),
        ("", "found 'the end'"),
        ("ROI_V1 = 1;", "found ';'"),
        ("ROI_V1 @ ROI_V2", "found '@'"),
        ("Label = 1", "2 columns among those of 'Label = 1' that are no responses"),
        (
            "ROI_V1 | Run",
            "1 columns among those of 'ROI_V1 | Run' that are no responses".replace("|", r"\|"),
        ),
    ],
)
def test_selectors_that_select_nothing_or_labels_are_refused(path, selector, told):
    with BData(path) as data, pytest.raises(InputError, match=told):
        data.responses(selector)


def test_columns_that_leave_nothing_are_refused(path):
    with BData(path) as data, pytest.raises(InputError, match="found no column"):
        data.columns("ROI_V1 - ROI_VC")


def test_names_without_a_text_are_refused(tmp_path, path):
    with BData(path) as data:
        with pytest.raises(InputError, match="found no key 'category_name'"):
            data.names("category_name")
        with pytest.raises(InputError, match=r"found no /vmap/Run.*set `responses.names` to label"):
            data.names("Run")
    other = written_by_hand(tmp_path / "b.h5", texts={"1.0": b"a"})
    with BData(other) as data, pytest.raises(InputError, match="found 3 in the column"):
        data.names()


@pytest.mark.parametrize("name", ["abc", "a/b"])
def test_numbers_that_are_none_are_refused(path, name):
    with h5py.File(path, "r+") as file:
        file[f"vmap/stimulus_name/{name}"] = b"a picture"
    with BData(path) as data, pytest.raises(InputError, match="/vmap/stimulus_name: found data"):
        data.names()


def test_ids_that_have_lost_their_decimals_are_refused(tmp_path):
    file = written_by_hand(tmp_path / "a.h5", dataset=DATASET.astype(np.float32))
    with BData(file) as data, pytest.raises(InputError, match="found a dataset of type float32"):
        data.ids()


def test_files_that_are_no_bdata_are_refused(tmp_path):
    with pytest.raises(InputError, match="found no such file, expected BData"):
        BData(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"text\.h5: found 7 bytes that are no complete HDF5 file"):
        BData(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="found 'x', expected the tables 'dataset' and 'metadata'"):
        BData(tmp_path / "other.h5")
    short = {key: values[:-1] for key, values in HOLD.items()}
    with pytest.raises(InputError, match=r"found metadata of shape \(8, 8\), expected \(8, 9\)"):
        BData(written_by_hand(tmp_path / "short.h5", hold=short))
