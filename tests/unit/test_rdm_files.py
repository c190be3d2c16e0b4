"""Every file format read back exactly, as its own software writes it."""

import h5py
import numpy as np
import pandas as pd
import pytest
import rsatoolbox
import scipy.io
from scipy.spatial.distance import squareform

from tests.unit.raw_files import (
    ARRAY_WRITERS,
    cells,
    random_rdms,
    squares,
    write_matlab73_variables,
    write_rsatoolbox,
)
from workflow.lib.errors import InputError
from workflow.lib.rdms.files import FORMATS, open_rdm_file
from workflow.lib.rdms.store import RDMStore, check_same_images, write_rdms

N = 9
NAMES = [f"image {i}.jpg" for i in (3, 1, 2, 9, 8, 7, 4, 5, 6)]
ROIS = ["V1", "LOC"]
# rsatoolbox itself writes ASCII only.
FOREIGN_NAMES = ["Gesicht_ä", "顔", "visage 😀"]


def read(path, **options):
    """Return the shape over RDMs and all RDMs of a file, (n_rdms, n_pairs) in that order."""
    with open_rdm_file(path, **options) as file:
        vectors = [file.vector(index) for index in np.ndindex(file.shape)]
        assert file.n_conditions * (file.n_conditions - 1) // 2 == vectors[0].size
        return file.shape, np.stack(vectors)


def names_in(path, names=None, **options):
    with open_rdm_file(path, **options) as file:
        return file.stored_names(names)


def descriptors_in(path, **options):
    with open_rdm_file(path, **options) as file:
        return {name: list(values) for name, values in file.descriptors.items()}


# Arrays: the layouts of numpy and MATLAB users.

LAYOUTS = {
    "(rdms, n, n)": squares,
    "(n, n, rdms)": lambda vectors: np.moveaxis(squares(vectors), 0, -1),
    "(rdms, n_pairs)": lambda vectors: vectors,
    "(n_pairs, rdms)": np.transpose,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("software", ARRAY_WRITERS)
@pytest.mark.parametrize("n_rdms", [1, 2, 3, 4, 6, N, 10, 15, 21])
def test_stack_of_rdms(tmp_path, software, layout, n_rdms):
    vectors = random_rdms(n_rdms, N)
    path = ARRAY_WRITERS[software](tmp_path / "rdms", LAYOUTS[layout](vectors))
    shape, found = read(path)
    assert shape == (() if n_rdms == 1 else (n_rdms,))
    np.testing.assert_array_equal(found, vectors)


@pytest.mark.parametrize("software", ARRAY_WRITERS)
@pytest.mark.parametrize("layout", ["square", "column", "row"])
@pytest.mark.parametrize("n", [3, 4, 12])
def test_single_rdm(tmp_path, software, layout, n):
    vector = random_rdms(1, n)[0]
    forms = {"square": squareform(vector), "column": vector[:, None], "row": vector[None]}
    path = ARRAY_WRITERS[software](tmp_path / "rdm", forms[layout])
    shape, found = read(path)
    assert shape == ()
    np.testing.assert_array_equal(found, vector[None])


@pytest.mark.parametrize("software", ["npy", "hdf5"])
def test_condensed_rdm_without_other_axes(tmp_path, software):
    vector = random_rdms(1, N)[0]
    shape, found = read(ARRAY_WRITERS[software](tmp_path / "rdm", vector))
    assert shape == ()
    np.testing.assert_array_equal(found, vector[None])


@pytest.mark.parametrize(
    "form",
    [
        lambda array: array,
        lambda array: np.moveaxis(array, (0, 1), (-2, -1)),
        lambda array: np.moveaxis(array, 1, -1),
        lambda array: array[:, None],
        lambda array: array[..., None],
    ],
    ids=["first", "last", "around", "singleton inside", "singleton last"],
)
@pytest.mark.parametrize("software", ARRAY_WRITERS)
def test_two_axes_over_rdms(tmp_path, software, form):
    vectors = random_rdms(6, N)
    array = form(squares(vectors).reshape(2, 3, N, N))
    shape, found = read(ARRAY_WRITERS[software](tmp_path / "rdms", array))
    assert shape == (2, 3)
    np.testing.assert_array_equal(found, vectors)


@pytest.mark.parametrize("shape", [(4, 4), (2, 2), (3, 3, 3), (N, N)])
def test_axes_of_equal_length_are_no_square_rdms(tmp_path, shape):
    vectors = random_rdms(int(np.prod(shape)), N)
    condensed = ARRAY_WRITERS["npy"](tmp_path / "condensed", vectors.reshape(*shape, -1))
    square = ARRAY_WRITERS["npy"](tmp_path / "square", squares(vectors).reshape(*shape, N, N))
    for path in (condensed, square):
        found_shape, found = read(path)
        assert found_shape == shape
        np.testing.assert_array_equal(found, vectors)


@pytest.mark.parametrize(
    ("software", "dtype"),
    [
        (software, dtype)
        for software in ARRAY_WRITERS
        for dtype in ("float16", "float32", "int32", "uint8", "bool")
        # MATLAB has no half precision.
        if (software, dtype) != ("matlab5", "float16")
    ],
)
def test_types_of_numbers(tmp_path, software, dtype):
    values = np.random.default_rng(0).integers(0, 2, (4, 4)).astype(dtype)
    values = np.triu(values, 1) + np.triu(values, 1).T
    values[0, 1:] = values[1:, 0] = [0, 1, 1]
    shape, found = read(ARRAY_WRITERS[software](tmp_path / "rdm", values.astype(dtype)))
    assert shape == ()
    np.testing.assert_array_equal(squareform(found[0]), values.astype(float))


@pytest.mark.parametrize("change", [np.asfortranarray, lambda array: array.astype(">f8")])
def test_memory_layouts(tmp_path, change):
    vectors = random_rdms(4, N)
    _, found = read(ARRAY_WRITERS["npy"](tmp_path / "rdms", change(squares(vectors))))
    np.testing.assert_array_equal(found, vectors)


@pytest.mark.parametrize("missing", ["diagonal", "lower triangle"])
def test_missing_values_outside_the_upper_triangle(tmp_path, missing):
    vectors = random_rdms(4, N)
    array = squares(vectors)
    where = np.diag_indices(N) if missing == "diagonal" else np.tril_indices(N, -1)
    array[(slice(None), *where)] = np.nan
    _, found = read(ARRAY_WRITERS["npy"](tmp_path / "rdms", array))
    np.testing.assert_array_equal(found, vectors)


# .npz and plain HDF5: several variables.


def write_npz_with_names(path):
    vectors = random_rdms(3, N)
    np.savez(
        path, rdms=squares(vectors), images=NAMES, ids=np.arange(100, 100 + N),
        notes=np.array({"pickled": True}, dtype=object),
    )  # fmt: skip
    return vectors


def write_hdf5_with_names(path):
    vectors = random_rdms(3, N)
    with h5py.File(path, "w") as file:
        file["rdms"] = squares(vectors)
        file["images"] = NAMES
        file["ids"] = np.arange(100, 100 + N)
        file["group/rdms"] = squares(vectors)[:2]
    return vectors


@pytest.mark.parametrize(
    ("file", "write"), [("a.npz", write_npz_with_names), ("a.h5", write_hdf5_with_names)]
)
def test_variables_beside_the_rdms(tmp_path, file, write):
    vectors = write(tmp_path / file)
    _, found = read(tmp_path / file, key="rdms")
    np.testing.assert_array_equal(found, vectors)
    assert names_in(tmp_path / file, key="rdms") == NAMES
    assert names_in(tmp_path / file, "images", key="rdms") == NAMES
    assert names_in(tmp_path / file, "ids", key="rdms") == [str(100 + i) for i in range(N)]


def test_variable_inside_a_group(tmp_path):
    vectors = write_hdf5_with_names(tmp_path / "a.hdf5")
    _, found = read(tmp_path / "a.hdf5", key="group/rdms")
    np.testing.assert_array_equal(found, vectors[:2])


def test_plain_hdf5_may_call_its_rdms_as_rsatoolbox_does(tmp_path):
    vectors = random_rdms(4, N)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dissimilarities"] = squares(vectors)
    shape, found = read(tmp_path / "a.h5")
    assert shape == (4,)
    np.testing.assert_array_equal(found, vectors)


# rsatoolbox.


def with_variable_length_strings(path):
    with h5py.File(path, "r+") as file:
        for group, name in (("pattern_descriptors", "image"), ("rdm_descriptors", "roi")):
            values = file[group][name].asstr()[()]
            del file[group][name]
            file[group].create_dataset(name, data=values, dtype=h5py.string_dtype())


@pytest.mark.parametrize("n_rdms", [1, 2])
@pytest.mark.parametrize(
    ("container", "rewrite"),
    [(list, None), (np.array, None), (tuple, None), (list, with_variable_length_strings)],
    ids=["lists", "arrays", "attributes", "variable-length strings"],
)
def test_rsatoolbox_file(tmp_path, container, rewrite, n_rdms):
    vectors = random_rdms(n_rdms, N)
    path = write_rsatoolbox(
        tmp_path / "a.h5",
        vectors,
        {"image": container(NAMES)},
        {"roi": container(ROIS[:n_rdms])},
    )
    if rewrite:
        rewrite(path)
    _, found = read(path)
    np.testing.assert_array_equal(found, vectors)
    assert names_in(path) == NAMES
    assert descriptors_in(path)["roi"] == ROIS[:n_rdms]


def test_the_ways_of_writing_strings_differ_in_the_file(tmp_path):
    as_list = write_rsatoolbox(tmp_path / "a.h5", random_rdms(1, N), {"image": NAMES})
    as_tuple = write_rsatoolbox(tmp_path / "b.h5", random_rdms(1, N), {"image": tuple(NAMES)})
    with h5py.File(as_list) as first, h5py.File(as_tuple) as second:
        assert first["pattern_descriptors/image"].dtype.kind == "S"
        assert "image" not in second["pattern_descriptors"]
        assert list(second["pattern_descriptors"].attrs["image"]) == NAMES


@pytest.mark.parametrize("n", [4, 5, 10])
def test_as_many_rdms_as_pairs_are_no_square(tmp_path, n):
    vectors = random_rdms(n * (n - 1) // 2, n)
    names = [f"i{k}" for k in range(n)]
    path = write_rsatoolbox(tmp_path / "a.h5", vectors, {"image": names})
    shape, found = read(path)
    assert shape == (len(vectors),)
    np.testing.assert_array_equal(found, vectors)
    assert len(names_in(path)) == n


def test_names_are_the_descriptor_that_tells_images_apart(tmp_path):
    patterns = {"category": ["face"] * 4 + ["house"] * 5, "picture": NAMES}
    path = write_rsatoolbox(tmp_path / "a.h5", random_rdms(1, N), patterns)
    assert names_in(path) == NAMES
    assert names_in(path, "category") == patterns["category"]


def test_numbers_as_descriptors(tmp_path):
    path = write_rsatoolbox(
        tmp_path / "a.h5",
        random_rdms(2, 3),
        {"stimulus": np.array([11, 7, 5])},
        {"session": np.array([1.0, 2.0])},
    )
    assert names_in(path) == ["11", "7", "5"]
    assert descriptors_in(path)["session"] == ["1", "2"]


# MATLAB.


def write_struct5(path, fields):
    """Write a struct array with scipy from fields of object arrays of one shape."""
    shape = next(iter(fields.values())).shape
    struct = np.empty(shape, dtype=[(name, object) for name in fields])
    for name, values in fields.items():
        struct[name] = values
    scipy.io.savemat(path, {"RDMs": struct})


def write_struct73(path, fields):
    write_matlab73_variables(path, {"RDMs": fields})


STRUCT_WRITERS = {"5": write_struct5, "7.3": write_struct73}


@pytest.mark.parametrize("condensed", [False, True])
@pytest.mark.parametrize("version", STRUCT_WRITERS)
@pytest.mark.parametrize("shape", [(4, 2), (1, 4, 2), (1, 8), (8, 1), (2, 2, 2)])
def test_struct_array(tmp_path, version, shape, condensed):
    vectors = random_rdms(8, N)
    rdms = [vector[None] for vector in vectors] if condensed else list(squares(vectors))
    names = [f"hIT | subject {i}" for i in range(8)]
    colours = [np.array([[1.0, 0.0, 0.5]])] * 8
    fields = {
        "RDM": cells(rdms, shape),
        "name": cells(names, shape),
        "colour": cells(colours, shape),
    }
    STRUCT_WRITERS[version](tmp_path / "a.mat", fields)
    found_shape, found = read(tmp_path / "a.mat", key="RDMs")
    assert found_shape == tuple(length for length in shape if length > 1)
    np.testing.assert_array_equal(found, vectors)
    assert descriptors_in(tmp_path / "a.mat") == {"name": names}


@pytest.mark.parametrize("version", STRUCT_WRITERS)
def test_other_field_and_empty_text(tmp_path, version):
    vectors = random_rdms(2, N)
    names = ["", "two"]
    fields = {"dissimilarity": cells(list(squares(vectors))), "label": cells(names)}
    STRUCT_WRITERS[version](tmp_path / "a.mat", {**fields, "RDM": fields["dissimilarity"][:, ::-1]})
    _, found = read(tmp_path / "a.mat", field="dissimilarity")
    np.testing.assert_array_equal(found, vectors)
    assert descriptors_in(tmp_path / "a.mat", field="dissimilarity") == {"label": names}


def write_one_struct(version, path, content):
    if version == "5":
        scipy.io.savemat(path, {"data": content})
    else:
        write_matlab73_variables(path, {"data": content})


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_one_struct(tmp_path, version):
    vectors = random_rdms(1, N)
    write_one_struct(version, tmp_path / "a.mat", {"RDM": squares(vectors)[0], "name": "V1"})
    _, found = read(tmp_path / "a.mat")
    np.testing.assert_array_equal(found, vectors)
    assert descriptors_in(tmp_path / "a.mat") == {"name": ["V1"]}


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_one_struct_with_many_rdms_has_no_label_for_each(tmp_path, version):
    vectors = random_rdms(4, N)
    array = np.moveaxis(squares(vectors), 0, -1)
    write_one_struct(version, tmp_path / "a.mat", {"RDM": array, "name": "V1"})
    shape, found = read(tmp_path / "a.mat")
    assert shape == (4,)
    np.testing.assert_array_equal(found, vectors)
    assert descriptors_in(tmp_path / "a.mat") == {}


def write_variables(version, path, variables):
    if version == "5":
        scipy.io.savemat(path, variables)
    else:
        write_matlab73_variables(path, variables)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_cell_array_of_rdms_and_cell_array_of_names(tmp_path, version):
    vectors = random_rdms(3, N)
    variables = {"rdms": cells(list(squares(vectors))), "names": cells(NAMES, (N, 1))}
    write_variables(version, tmp_path / "a.mat", variables)
    shape, found = read(tmp_path / "a.mat", key="rdms")
    assert shape == (3,)
    np.testing.assert_array_equal(found, vectors)
    assert names_in(tmp_path / "a.mat", "names", key="rdms") == NAMES


@pytest.mark.parametrize("names", [["face", "Haus", "ß ü 顔"], FOREIGN_NAMES])
@pytest.mark.parametrize("version", ["5", "7.3"])
def test_names_in_a_cell_array_need_no_key(tmp_path, version, names):
    variables = {"rdm": squares(random_rdms(1, 3))[0], "names": cells(names), "n": np.eye(1)}
    write_variables(version, tmp_path / "a.mat", variables)
    assert names_in(tmp_path / "a.mat", key="rdm") == names


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_names_in_a_char_matrix(tmp_path, version):
    matrix = np.array(["cat  ", "horse", "ox   "])
    variables = {"rdm": squares(random_rdms(1, 3))[0], "names": matrix}
    write_variables(version, tmp_path / "a.mat", variables)
    assert names_in(tmp_path / "a.mat", key="rdm") == ["cat", "horse", "ox"]


def test_no_cell_is_asked_for_its_own_name(tmp_path, monkeypatch):
    """HDF5 finds a name by a look through the whole file: of each cell, it takes far too long."""
    looked_up, found = h5py.Dataset.name.fget, []
    variables = {"rdm": squares(random_rdms(1, 3))[0], "names": cells([f"i{n}" for n in range(40)])}
    path = write_matlab73_variables(tmp_path / "a.mat", variables)
    by_us = property(lambda dataset: found.append(looked_up(dataset)) or found[-1])
    monkeypatch.setattr(h5py.Dataset, "name", by_us)
    assert len(names_in(path, "names", key="rdm")) == 40
    assert len(found) < 5, found


def test_version_73_is_really_laid_out_as_matlab_does(tmp_path):
    path = write_matlab73_variables(tmp_path / "a.mat", {"x": np.zeros((2, 3, 4)), "t": "ab"})
    assert path.read_bytes().startswith(b"MATLAB 7.3 MAT-file")
    assert path.read_bytes()[512:516] == b"\x89HDF"
    with h5py.File(path) as file:
        assert file["x"].shape == (4, 3, 2)
        assert file["t"][()].tolist() == [[97], [98]]


# Tables. The RDM of the conditions cat, dog, egg, by hand.

TABLE_NAMES = ["cat", "dog", "egg"]
TABLE_VECTOR = [0.5, 1.0, 0.25]
TABLES = {
    "no names": ("0,0.5,1\n0.5,0,0.25\n1,0.25,0\n", None),
    "first row": ("cat,dog,egg\n0,0.5,1\n0.5,0,0.25\n1,0.25,0\n", TABLE_NAMES),
    "first column": ("cat,0,0.5,1\ndog,0.5,0,0.25\negg,1,0.25,0\n", TABLE_NAMES),
    "both": (",cat,dog,egg\ncat,0,0.5,1\ndog,0.5,0,0.25\negg,1,0.25,0\n", TABLE_NAMES),
    "corner": ("id,cat,dog,egg\ncat,0,0.5,1\ndog,0.5,0,0.25\negg,1,0.25,0\n", TABLE_NAMES),
    "R": ("cat,dog,egg\ncat,0,0.5,1\ndog,0.5,0,0.25\negg,1,0.25,0\n", TABLE_NAMES),
    "quoted": ('"a, b","NA","null"\n0,0.5,1\n0.5,0,0.25\n1,0.25,0\n', ["a, b", "NA", "null"]),
    "spaces": ("cat, dog , egg\n0, 0.5, 1\n0.5, 0, 0.25\n1, 0.25, 0\n", TABLE_NAMES),
    "byte order mark": ("\ufeffcat,dog,egg\n0,0.5,1\n0.5,0,0.25\n1,0.25,0\n", TABLE_NAMES),
    "Windows": ("cat,dog,egg\r\n0,0.5,1\r\n0.5,0,0.25\r\n1,0.25,0\r\n\r\n", TABLE_NAMES),
    "numeric row": ("12,7,5\n0,0.5,1\n0.5,0,0.25\n1,0.25,0\n", ["12", "7", "5"]),
    "numeric column": ("12,0,0.5,1\n07,0.5,0,0.25\n5,1,0.25,0\n", ["12", "07", "5"]),
    "numeric both": (",12,7,5\n12,0,0.5,1\n7,0.5,0,0.25\n5,1,0.25,0\n", ["12", "7", "5"]),
    "mixed": ("cat,7,5\n0,0.5,1\n0.5,0,0.25\n1,0.25,0\n", ["cat", "7", "5"]),
}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".TSV"])
@pytest.mark.parametrize("table", TABLES)
def test_table(tmp_path, table, suffix):
    text, names = TABLES[table]
    if suffix.lower() == ".tsv":
        text = text.replace('"a, b"', '"a\tb"').replace(",", "\t").replace("a\tb", "a, b", 1)
    path = tmp_path / f"rdm{suffix}"
    path.write_bytes(text.encode())
    shape, found = read(path)
    assert shape == ()
    np.testing.assert_array_equal(found, [TABLE_VECTOR])
    if names:
        assert names_in(path) == names


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("header", [False, True])
def test_table_written_by_pandas(tmp_path, header, index):
    vectors = random_rdms(1, N)
    frame = pd.DataFrame(squares(vectors)[0], index=NAMES, columns=NAMES)
    frame.to_csv(tmp_path / "a.csv", header=header, index=index, float_format="%.17g")
    _, found = read(tmp_path / "a.csv")
    np.testing.assert_array_equal(found, vectors)
    if header or index:
        assert names_in(tmp_path / "a.csv") == NAMES


def test_every_format_is_tried_here():
    assert set(FORMATS) == {".h5", ".hdf5", ".mat", ".npy", ".npz", ".csv", ".tsv"}


# What the workflow itself writes.


def write_store(path, vectors, names):
    labels = [{"roi": f"ROI {i}", "session": "mean"} for i in range(len(vectors))]
    write_rdms(
        path,
        zip(labels, vectors, strict=True),
        names=names,
        groups=["a", "b", "c"] * (len(names) // 3),
        measure="correlation",
        descriptors={"study": "lab", "subject": "Zoë"},
    )
    return labels


@pytest.mark.parametrize("n_rdms", [1, 3])
def test_rsatoolbox_opens_what_the_workflow_writes(tmp_path, n_rdms):
    vectors = random_rdms(n_rdms, N)
    write_store(tmp_path / "a.h5", vectors, NAMES)
    rdms = rsatoolbox.rdm.load_rdm(str(tmp_path / "a.h5"))
    np.testing.assert_array_equal(rdms.dissimilarities, vectors.astype(np.float32))
    assert (rdms.n_rdm, rdms.n_cond) == (n_rdms, N)
    assert rdms.dissimilarity_measure == "correlation"
    assert rdms.descriptors == {"study": "lab", "subject": "Zoë"}
    assert list(rdms.pattern_descriptors["name"]) == NAMES
    assert list(rdms.pattern_descriptors["group"]) == ["a", "b", "c"] * 3
    assert list(rdms.rdm_descriptors["roi"]) == [f"ROI {i}" for i in range(n_rdms)]
    assert list(rdms.rdm_descriptors["index"]) == list(range(n_rdms))


def test_rsatoolbox_subsets_what_the_workflow_writes(tmp_path):
    vectors = random_rdms(2, N)
    write_store(tmp_path / "a.h5", vectors, NAMES)
    subset = rsatoolbox.rdm.load_rdm(str(tmp_path / "a.h5")).subset("roi", "ROI 1")
    subset = subset.subset_pattern("name", NAMES[:4])
    expected = squareform(vectors[1])[:4, :4].astype(np.float32)
    np.testing.assert_array_equal(subset.get_matrices()[0], expected)


def test_names_that_are_not_english(tmp_path):
    vectors = random_rdms(2, 3)
    write_store(tmp_path / "a.h5", vectors, FOREIGN_NAMES)
    assert RDMStore(tmp_path / "a.h5").names == FOREIGN_NAMES
    rdms = rsatoolbox.rdm.load_rdm(str(tmp_path / "a.h5"))
    np.testing.assert_array_equal(rdms.dissimilarities, vectors.astype(np.float32))
    # rsatoolbox leaves variable-length strings as bytes.
    assert [name.decode() for name in rdms.pattern_descriptors["name"]] == FOREIGN_NAMES
    assert names_in(tmp_path / "a.h5", "name") == FOREIGN_NAMES


def test_store_reads_what_rsatoolbox_reads(tmp_path):
    vectors = random_rdms(3, N)
    labels = write_store(tmp_path / "a.h5", vectors, NAMES)
    store = RDMStore(tmp_path / "a.h5")
    assert (store.n_rdms, store.n_images, store.n_pairs) == (3, N, N * (N - 1) // 2)
    assert (store.names, store.groups) == (NAMES, ["a", "b", "c"] * 3)
    assert store.rows() == labels
    assert store.descriptors == {"study": "lab", "subject": "Zoë"}
    np.testing.assert_array_equal(store.vectors(), vectors.astype(np.float32))
    np.testing.assert_array_equal(store.vector(2), vectors[2].astype(np.float32))


def test_stores_with_other_images_are_not_compared(tmp_path):
    write_store(tmp_path / "a.h5", random_rdms(1, N), NAMES)
    write_store(tmp_path / "b.h5", random_rdms(1, N), NAMES[::-1])
    first, second = RDMStore(tmp_path / "a.h5"), RDMStore(tmp_path / "b.h5")
    check_same_images([first, RDMStore(tmp_path / "a.h5")])
    with pytest.raises(InputError, match=r"b\.h5: found other images, or another order, than in a"):
        check_same_images([first, second])


def test_the_workflow_reads_its_own_files_as_raw_files(tmp_path):
    vectors = random_rdms(2, N).astype(np.float32)
    write_store(tmp_path / "a.h5", vectors, NAMES)
    _, found = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(found, vectors)
    assert names_in(tmp_path / "a.h5") == NAMES
    assert descriptors_in(tmp_path / "a.h5")["roi"] == ["ROI 0", "ROI 1"]
