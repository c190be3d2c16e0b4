"""Config blocks that say where RDMs lie: every origin of a label finds its RDM and no other."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.io
from scipy.spatial.distance import squareform

from scripts.rdms.import_brain_rdms import subject_rdms
from scripts.rdms.import_model_rdms import layer_rdms
from tests.unit.raw_files import (
    brain_source,
    cells,
    completed_config,
    random_rdms,
    reordered,
    squares,
    write_matlab73_variables,
    write_rsatoolbox,
)
from workflow.lib.errors import InputError
from workflow.lib.rdms.source import names_by_file, read_aligned
from workflow.lib.rdms.store import write_rdms
from workflow.lib.sources import files_of, items_of

N = 7
IMAGES = [f"image_{i:04d}" for i in range(1, N + 1)]
SUBJECTS, SESSIONS, ROIS = ["s1", "s2"], ["day 1", "day 2"], ["V1", "LOC", "PPA"]
LABELS = list(itertools.product(SUBJECTS, SESSIONS, ROIS))
VECTORS = dict(zip(LABELS, random_rdms(len(LABELS), N), strict=True))
ORDER = {"from": "order"}


def stack(*, subjects=SUBJECTS, sessions=SESSIONS, rois=ROIS):
    """Return RDMs (subjects, sessions, rois, n_pairs)."""
    wanted = itertools.product(subjects, sessions, rois)
    shape = (len(subjects), len(sessions), len(rois), -1)
    return np.stack([VECTORS[labels] for labels in wanted]).reshape(shape)


def read(folder, source, images=IMAGES, **options):
    """Return (subject, session, roi) -> vector of all RDMs of a source."""
    return {
        (labels["subject"], labels["session"], labels["roi"]): vector
        for labels, vector in read_aligned(source, folder, images, match="exact", **options)
    }


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for labels, vector in expected.items():
        np.testing.assert_array_equal(found[labels], vector, err_msg=str(labels))


# One layout per origin of the labels: how the files are written and what the config says of it.


def write_file_per_rdm(folder):
    for (subject, session, roi), vector in VECTORS.items():
        (folder / f"sub-{subject}").mkdir(exist_ok=True)
        np.save(folder / f"sub-{subject}" / f"{session}_{roi}.npy", vector)
    return {
        "files": "sub-{subject}/{session}_{roi}.npy",
        "subjects": {"names": SUBJECTS, "from": "file_name"},
        "sessions": {"names": SESSIONS, "from": "file_name"},
        "rois": {"names": ROIS, "from": "file_name"},
    }


def write_variable_per_rdm(folder):
    for subject in SUBJECTS:
        variables = {
            f"{session}/{roi}": VECTORS[subject, session, roi]
            for session in SESSIONS
            for roi in ROIS
        }
        np.savez(folder / f"{subject}.npz", **variables)
    return {
        "files": "{subject}.npz",
        "key": "{session}/{roi}",
        "subjects": {"names": SUBJECTS, "from": "file_name"},
        "sessions": {"names": SESSIONS, "from": "key"},
        "rois": {"names": ROIS, "from": "key"},
    }


def write_axes(folder):
    np.save(folder / "all.npy", squares(stack()))
    return {
        "files": "all.npy",
        "subjects": {"names": SUBJECTS, "from": "axis", "axis": 0},
        "sessions": {"names": SESSIONS, "from": "axis", "axis": 1},
        "rois": {"names": ROIS, "from": "axis", "axis": 2},
    }


def write_matlab_axes(folder):
    array = np.transpose(squares(stack()), (3, 4, 2, 0, 1))
    write_matlab73_variables(folder / "all.mat", {"rdms": array})
    return {
        "files": "all.mat",
        "subjects": {"names": SUBJECTS, "from": "axis", "axis": 1},
        "sessions": {"names": SESSIONS, "from": "axis", "axis": 2},
        "rois": {"names": ROIS, "from": "axis", "axis": 0},
    }


def write_descriptors(folder):
    labels = [LABELS[i] for i in np.random.default_rng(1).permutation(len(LABELS))]
    columns = dict(zip(("subject", "session", "roi"), zip(*labels, strict=True), strict=True))
    vectors = np.stack([VECTORS[label] for label in labels])
    write_rsatoolbox(folder / "all.h5", vectors, {"image": IMAGES}, columns)
    return {
        "files": "all.h5",
        "subjects": {"names": SUBJECTS, "from": "descriptor"},
        "sessions": {"names": SESSIONS, "from": "descriptor", "descriptor": "session"},
        "rois": {"names": ROIS, "from": "descriptor"},
    }


def write_struct_array(folder):
    """Write subjects x sessions, the ROI in a text field and in the file name."""
    for roi in ROIS:
        rdms = squares(stack(rois=[roi])).reshape(-1, N, N)
        names = [f"{subject} | {session}" for subject in SUBJECTS for session in SESSIONS]
        struct = np.empty((2, 2), dtype=[("RDM", object), ("name", object)])
        struct["RDM"], struct["name"] = cells(list(rdms), (2, 2)), cells(names, (2, 2))
        scipy.io.savemat(folder / f"{roi}.mat", {"RDMs": struct})
    return {
        "files": "{roi}.mat",
        "subjects": {"names": SUBJECTS, "from": "axis", "axis": 0},
        "sessions": {"names": SESSIONS, "from": "axis", "axis": 1},
        "rois": {"names": ROIS, "from": "file_name"},
    }


LAYOUTS = [
    write_file_per_rdm,
    write_variable_per_rdm,
    write_axes,
    write_matlab_axes,
    write_descriptors,
    write_struct_array,
]
by_layout = pytest.mark.parametrize("write", LAYOUTS, ids=lambda write: write.__name__)


@by_layout
def test_every_label_finds_its_rdm(tmp_path, write):
    source = brain_source(**write(tmp_path), conditions=ORDER)
    assert_equal(read(tmp_path, source), VECTORS)


@by_layout
def test_one_subject_alone(tmp_path, write):
    source = brain_source(**write(tmp_path), conditions=ORDER)
    expected = {labels: vector for labels, vector in VECTORS.items() if labels[0] == "s2"}
    assert_equal(read(tmp_path, source, fixed={"subject": "s2"}), expected)


@by_layout
def test_common_images_come_in_their_own_order(tmp_path, write):
    source = brain_source(**write(tmp_path), conditions=ORDER)
    chosen = [5, 0, 3, 6]
    expected = dict(zip(LABELS, reordered(np.stack(list(VECTORS.values())), chosen), strict=True))
    assert_equal(read(tmp_path, source, [IMAGES[i] for i in chosen]), expected)


@by_layout
def test_labels_of_our_own(tmp_path, write):
    block = write(tmp_path)
    own = {"V1": "primary", "LOC": "lateral", "PPA": "place"}
    spelled = range(3) if block["rois"]["from"] == "axis" else ROIS
    # In another order than the file's: a label is found by name, never by its place.
    names = dict(list(zip(own.values(), spelled, strict=True))[::-1])
    source = brain_source(**{**block, "rois": {**block["rois"], "names": names}}, conditions=ORDER)
    found = read(tmp_path, source)
    for (subject, session, roi), vector in VECTORS.items():
        np.testing.assert_array_equal(found[subject, session, own[roi]], vector)


# Single origins.


def read_rois(folder, source):
    return {
        labels["roi"]: vector
        for labels, vector in read_aligned(source, folder, IMAGES, match="exact")
    }


def assert_rois(found, expected):
    assert sorted(found) == sorted(expected)
    for roi, vector in expected.items():
        np.testing.assert_array_equal(found[roi], vector, err_msg=roi)


def test_constants(tmp_path):
    np.save(tmp_path / "one.npy", VECTORS[LABELS[0]])
    source = brain_source(files="one.npy", conditions=ORDER)
    assert_rois(read_rois(tmp_path, source), {"V1": VECTORS[LABELS[0]]})


@pytest.mark.parametrize("names", [["V1"], {"V1": 0}])
@pytest.mark.parametrize("shape", [(1, N, N), (N, N), (1, 1, N, N), (N, N, 1)])
def test_axis_of_one(tmp_path, names, shape):
    vector = VECTORS[LABELS[0]]
    np.save(tmp_path / "one.npy", squares(vector[None])[0].reshape(shape))
    rois = {"names": names, "from": "axis", "axis": 0}
    source = brain_source(files="one.npy", rois=rois, conditions=ORDER)
    assert_rois(read_rois(tmp_path, source), {"V1": vector})


@pytest.mark.parametrize("names", [{"1": 1, "0": 0}, {"0": 1, "1": 0}, {"2": 2, "0": 0}, {"1": 2}])
def test_positions_that_look_like_labels_are_positions(tmp_path, names):
    vectors = random_rdms(3, N)
    np.save(tmp_path / "all.npy", vectors)
    rois = {"names": names, "from": "axis", "axis": 0}
    source = brain_source(files="all.npy", rois=rois, conditions=ORDER)
    assert_rois(
        read_rois(tmp_path, source), {name: vectors[place] for name, place in names.items()}
    )


def source_by_descriptor(folder, descriptors, names, vectors, **axis):
    write_rsatoolbox(folder / "all.h5", vectors, {"image": IMAGES}, descriptors)
    rois = {"names": names, "from": "descriptor", **axis}
    return brain_source(files="all.h5", rois=rois, conditions=ORDER)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (["LH_EarlyVis", "RH_EarlyVis"], ["LHEarlyVis", "RHEarlyVis"]),
        (["LHEarlyVis", "RHEarlyVis"], ["LH EarlyVis", "RH EarlyVis"]),
        (["lh-early vis", "rh-early vis"], ["LHEarlyVis", "RHEarlyVis"]),
        (["layer1_0", "layer10"], ["layer1.0", "layer10"]),
        (["features.1.0", "features.10"], ["features_1_0", "features_10"]),
    ],
)
def test_another_spelling(tmp_path, stored, wanted):
    vectors = random_rdms(2, N)
    source = source_by_descriptor(tmp_path, {"ROI": stored}, wanted, vectors)
    assert_rois(read_rois(tmp_path, source), dict(zip(wanted, vectors, strict=True)))


def test_descriptor_is_discovered_among_others(tmp_path):
    vectors = random_rdms(3, N)
    descriptors = {"atlas": ["x", "x", "x"], "region": ROIS, "voxels": np.array([5, 6, 7])}
    source = source_by_descriptor(tmp_path, descriptors, ROIS, vectors)
    assert_rois(read_rois(tmp_path, source), dict(zip(ROIS, vectors, strict=True)))


def test_running_index_of_rsatoolbox_is_not_taken_for_labels(tmp_path):
    vectors = random_rdms(3, N)
    # The running index is 0, 1, 2 and holds the labels 1 and 2 too, in other places.
    source = source_by_descriptor(tmp_path, {"roi": np.array([2, 1, 3])}, [1, 2], vectors)
    assert_rois(read_rois(tmp_path, source), {"1": vectors[1], "2": vectors[0]})


def test_descriptor_with_the_name_of_the_axis_comes_first(tmp_path):
    vectors = random_rdms(3, N)
    descriptors = {"a_rank": ["2", "3", "1"], "roi_number": ["1", "2", "3"]}
    source = source_by_descriptor(tmp_path, descriptors, ["1", "2", "3"], vectors)
    assert_rois(read_rois(tmp_path, source), dict(zip("123", vectors, strict=True)))


def test_descriptor_given_by_name_is_the_one_taken(tmp_path):
    vectors = random_rdms(3, N)
    descriptors = {"a": ["1", "2", "3"], "b": ["3", "1", "2"]}
    source = source_by_descriptor(tmp_path, descriptors, [1, 2, 3], vectors, descriptor="b")
    assert_rois(read_rois(tmp_path, source), {"3": vectors[0], "1": vectors[1], "2": vectors[2]})


def test_text_field_of_a_struct_array(tmp_path):
    vectors = random_rdms(3, N)
    struct = {
        "RDM": cells(list(squares(vectors))),
        "name": cells(ROIS),
        "n": cells([np.eye(1)] * 3),
    }
    write_matlab73_variables(tmp_path / "all.mat", {"models": struct})
    rois = {"names": ROIS[::-1], "from": "descriptor", "descriptor": "name"}
    source = brain_source(files="all.mat", key="models", rois=rois, conditions=ORDER)
    assert_rois(read_rois(tmp_path, source), dict(zip(ROIS, vectors, strict=True)))


# Names of the conditions.


def write_lists(folder, names):
    (folder / "names.txt").write_text("\n".join(["", *names, ""]), encoding="utf-8")
    (folder / "marked.txt").write_text("\n".join(names), encoding="utf-8-sig")
    table = pd.DataFrame({"trial": range(len(names)), "image": names})
    table.to_csv(folder / "names.csv", index=False)
    table.to_csv(folder / "names.TSV", index=False, sep="\t")


@pytest.mark.parametrize(
    "conditions",
    [
        {"file": "names.txt"},
        {"file": "marked.txt"},
        {"file": "names.csv", "column": "image"},
        {"file": "names.TSV", "column": "image"},
    ],
)
def test_listed_conditions(tmp_path, conditions):
    names = ["NA", "null", "None", "nan", "007", "1e3", "ä.jpg"]
    write_lists(tmp_path, names)
    np.save(tmp_path / "one.npy", VECTORS[LABELS[0]])
    source = brain_source(files="one.npy", conditions={"from": "list", **conditions})
    assert names_by_file(source, tmp_path) == {"one.npy": names}
    ((_, vector),) = read_aligned(source, tmp_path, names[::-1], match="exact")
    expected = reordered(VECTORS[LABELS[0]][None], range(N)[::-1])[0]
    np.testing.assert_array_equal(vector, expected)


def test_stored_conditions_differ_per_file(tmp_path):
    vectors = random_rdms(2, N)
    names = {"s1.h5": IMAGES, "s2.h5": IMAGES[::-1]}
    for (file, images), vector in zip(names.items(), vectors, strict=True):
        write_rsatoolbox(tmp_path / file, vector, {"image": images})
    subjects = {"names": SUBJECTS, "from": "file_name"}
    source = brain_source(files="{subject}.h5", subjects=subjects)
    assert names_by_file(source, tmp_path) == names
    found = [vector for _, vector in read_aligned(source, tmp_path, IMAGES, match="exact")]
    np.testing.assert_array_equal(found[0], vectors[0])
    np.testing.assert_array_equal(found[1], reordered(vectors[1:], range(N)[::-1])[0])


def test_ordered_conditions_are_numbered_from_one(tmp_path):
    np.save(tmp_path / "one.npy", VECTORS[LABELS[0]])
    conditions = {"from": "order", "pattern": "stim{:d}"}
    source = brain_source(files="one.npy", conditions=conditions)
    assert names_by_file(source, tmp_path) == {"one.npy": [f"stim{i}" for i in range(1, N + 1)]}


@pytest.mark.parametrize("file", ["one.npy", "one.csv"])
def test_condition_without_dissimilarities_is_named_as_the_file_names_it(tmp_path, file):
    """Whatever the format, and whatever the common order of images."""
    square = squareform(VECTORS[LABELS[0]])
    square[2, :] = square[:, 2] = np.nan
    np.save(tmp_path / "one.npy", square)
    pd.DataFrame(square, IMAGES, IMAGES).to_csv(tmp_path / "one.csv", na_rep="NaN")
    conditions = {"from": "stored"} if file == "one.csv" else ORDER | {"pattern": "image_{:04d}"}
    source = brain_source(files=file, conditions=conditions)
    assert names_by_file(source, tmp_path) == {file: IMAGES}
    with pytest.raises(InputError, match=r"found 6 NaN or infinite of 21 .*\(6 of 'image_0003'"):
        list(read_aligned(source, tmp_path, IMAGES[::-1], match="exact"))


def test_condition_without_dissimilarities_is_named_by_the_file_that_is_written(tmp_path):
    vector = VECTORS[LABELS[0]].copy()
    vector[[0, 1]] = np.inf
    with pytest.raises(InputError, match=r"rdms.h5, V1: found 2 .*\(2 of 'image_0001', such as"):
        write_rdms(tmp_path / "rdms.h5", [({"roi": "V1"}, vector)], names=IMAGES, measure="x")


# Averages.


def imported(folder, source, subject="s1"):
    images = pd.DataFrame({"name": IMAGES})
    rdms = subject_rdms(source, folder, images, subject=subject, match="exact")
    return {(labels["roi"], labels["session"]): vector for labels, vector in rdms}


def mean_over_sessions(subject, roi):
    return np.mean([VECTORS[subject, session, roi] for session in SESSIONS], axis=0)


@pytest.mark.parametrize("combine", ["mean", "separate"])
@by_layout
def test_sessions(tmp_path, write, combine):
    block = write(tmp_path)
    sessions = {**block["sessions"], "combine": combine}
    source = brain_source(**{**block, "sessions": sessions}, conditions=ORDER)
    found = imported(tmp_path, source, "s2")
    means = {(roi, "mean"): mean_over_sessions("s2", roi) for roi in ROIS}
    single = {(roi, session): VECTORS["s2", session, roi] for session in SESSIONS for roi in ROIS}
    expected = means if combine == "mean" else single | means
    assert set(found) == set(expected)
    for labels, vector in expected.items():
        np.testing.assert_allclose(found[labels], vector, rtol=1e-14)


def test_no_sessions_are_their_own_mean(tmp_path):
    np.save(tmp_path / "one.npy", VECTORS[LABELS[0]])
    found = imported(tmp_path, brain_source(files="one.npy", conditions=ORDER))
    assert list(found) == [("V1", "mean")]
    np.testing.assert_array_equal(found["V1", "mean"], VECTORS[LABELS[0]])


def test_half_precision_sessions_are_averaged_in_double(tmp_path):
    large = (1000 * random_rdms(2, N)).astype(np.float16)
    np.save(tmp_path / "one.npy", large)
    sessions = {"names": SESSIONS, "from": "axis", "axis": 0}
    source = brain_source(files="one.npy", sessions=sessions, conditions=ORDER)
    expected = large.astype(np.float64).mean(axis=0)
    np.testing.assert_array_equal(imported(tmp_path, source)["V1", "mean"], expected)


def test_raters_are_averaged(tmp_path):
    vectors = random_rdms(6, N)
    np.save(tmp_path / "ratings.npy", squares(vectors.reshape(3, 2, -1)))
    model = {
        "files": "ratings.npy",
        "layers": {"names": ["colour", "shape"], "from": "axis", "axis": 1},
        "average": {"names": ["r1", "r2", "r3"], "from": "axis", "axis": 0},
        "conditions": ORDER,
    }
    source = completed_config(models={"raters": model})["rsa"]["lab"]["models"]["raters"]
    images = pd.DataFrame({"name": IMAGES})
    found = list(layer_rdms(source, tmp_path, images, match="exact"))
    assert [labels for labels, _ in found] == [{"layer": "colour"}, {"layer": "shape"}]
    for (_, vector), expected in zip(found, [vectors[::2], vectors[1::2]], strict=True):
        np.testing.assert_allclose(vector, expected.mean(axis=0), rtol=1e-14)


# Which files a source consists of.


def test_files_come_once_and_in_the_order_of_the_config(tmp_path):
    source = brain_source(**write_file_per_rdm(tmp_path))
    expected = [f"sub-{subject}/{session}_{roi}.npy" for subject, session, roi in LABELS]
    assert files_of(source) == expected
    assert files_of(source, {"subject": "s2"}) == expected[6:]
    assert files_of(brain_source(**write_axes(tmp_path))) == ["all.npy"]


def test_file_names_take_the_spelling_of_the_files():
    subjects = {"names": {"Anna": "01", "Ben": "02"}, "from": "file_name"}
    source = brain_source(files="sub-{subject}_{subject}.h5", subjects=subjects)
    assert files_of(source) == ["sub-01_01.h5", "sub-02_02.h5"]
    assert [item.labels["subject"] for item in items_of(source)] == ["Anna", "Ben"]
