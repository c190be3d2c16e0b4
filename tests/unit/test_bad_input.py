"""Everything that users get wrong stops with one sentence that says where, what and what to do."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io

from scripts.check.check_config import read_config
from tests.unit.raw_files import (
    ARRAY_WRITERS,
    aligned_images,
    brain_source,
    cells,
    completed_config,
    random_rdms,
    shortest_brain,
    squares,
    write_matlab73_variables,
    write_rsatoolbox,
)
from workflow.lib.config.complete import complete_config
from workflow.lib.errors import InputError
from workflow.lib.files import sha256_of, written_whole
from workflow.lib.jobs import JOB_DONE, JOB_STARTED
from workflow.lib.rdms.files import open_rdm_file
from workflow.lib.rdms.source import names_by_file, read_aligned

ROOT = Path(__file__).parents[2]
N = 8
NAMES = [f"image{i}.jpg" for i in range(N)]
VECTORS = random_rdms(3, N)
SQUARE = squares(VECTORS)[0]


def assert_stops(action, *, where, found, expected, advice):
    """Check that an action raises one sentence with its four parts, in that order."""
    with pytest.raises(InputError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message
    assert re.search(rf"{where}.*found {found}.*expected {expected}.*{advice}", message), message


def read(path, **options):
    with open_rdm_file(path, **options) as file:
        return file.vector((0,) * len(file.shape))


# Values of one RDM, in every format that holds arrays.

BAD_VALUES = {
    "NaN": (
        lambda: np.where(np.isin(SQUARE, SQUARE[0, 1]), np.nan, SQUARE),
        ("1 NaN or infinite of 28", "none", "leave out"),
    ),
    "infinite": (
        lambda: np.where(np.isin(SQUARE, SQUARE[0, 1]), np.inf, SQUARE),
        ("1 NaN or infinite of 28", "none", "leave out"),
    ),
    "constant": (
        lambda: 1 - np.eye(N),
        ("all 28 dissimilarities equal to 1,", "an RDM that varies", "leave it out"),
    ),
    "asymmetric": (
        lambda: SQUARE + np.triu(np.full((N, N), 0.25), 1),
        (r"entries \(i, j\) and \(j, i\) that differ by up to 0\.25,", "a symmetric", "average"),
    ),
    "one triangle": (lambda: np.triu(SQUARE), (r"entries \(i, j\)", "a symmetric RDM", "average")),
    "diagonal": (
        lambda: SQUARE + 0.5 * np.eye(N),
        (r"a diagonal of up to 0\.5,", "zeros", "give 1 - similarity"),
    ),
    "similarities": (
        lambda: 1 - SQUARE / SQUARE.max(),
        ("a diagonal of up to 1,", "zeros; a matrix with ones", "give 1 - similarity"),
    ),
    "no square": (
        lambda: SQUARE[:, :5],
        (
            r"an array of shape \((8, 5|5, 8)\)",
            r"two axes of one length .*n\(n-1\)/2 dissimilarities, such as 3, 6 or 10",
            "give one row and one column per condition; activations",
        ),
    ),
    "text": (lambda: SQUARE.astype("S"), ("values of type", "numbers", "export the RDMs as")),
    "one number": (lambda: np.array([[1.5]]), (r"1 number\(s\)", "RDMs", "name another variable")),
}
NOT_EVERYWHERE = {("matlab5", "text"), ("matlab73", "text")}


@pytest.mark.parametrize(
    ("software", "case"),
    [
        (software, case)
        for software in ARRAY_WRITERS
        for case in BAD_VALUES
        if (software, case) not in NOT_EVERYWHERE
    ],
)
def test_values_that_are_no_rdm(tmp_path, software, case):
    values, (found, expected, advice) = BAD_VALUES[case]
    path = ARRAY_WRITERS[software](tmp_path / "lab", values())
    where = rf"^lab\{path.suffix}"
    assert_stops(lambda: read(path), where=where, found=found, expected=expected, advice=advice)


@pytest.mark.parametrize("form", [np.moveaxis, None])
@pytest.mark.parametrize("case", ["diagonal", "similarities", "asymmetric"])
@pytest.mark.parametrize("n_subjects", [3, 4, 6])
def test_stack_of_matrices_that_are_no_rdms(tmp_path, case, form, n_subjects):
    values, (found, expected, advice) = BAD_VALUES[case]
    stack = np.stack([values()] * n_subjects)
    path = ARRAY_WRITERS["npy"](tmp_path / "lab", form(stack, 0, -1) if form else stack)
    assert_stops(
        lambda: read(path), where=r"^lab\.npy\[0\]", found=found, expected=expected, advice=advice
    )


@pytest.mark.parametrize("n_pairs", [1 + 28, 2, 4187])
def test_length_that_is_no_rdm(tmp_path, n_pairs):
    np.save(tmp_path / "lab.npy", np.arange(n_pairs, dtype=float))
    assert_stops(
        lambda: read(tmp_path / "lab.npy"),
        where=r"^lab\.npy: ",
        found=f"an RDM of {n_pairs} dissimilarities",
        expected=r"n\(n-1\)/2",
        advice="give a square matrix or its upper triangle",
    )


# Tables.

BAD_TABLES = {
    "empty": ("", ("rows of no cells", "a full square matrix", "export it again")),
    "ragged": ("0,1\n1,0,2\n2\n", ("rows of 1 and 3 cells", "a full", "export it again")),
    "triangle": ("0,1,2\n,0,3\n,,0\n", ("the cell '' in row 2, column 1", "a number", "give a")),
    "blank diagonal": (",1,2\n1,,3\n2,3,\n", ("the cell ''", "a number", "give a full")),
    "word": ("0,x,2\nx,0,3\n2,3,0\n", ("the cell 'x' in row 1, column 2", "a number", "give a")),
    "semicolons": ("0;1;2\n1;0;3\n2;3;0\n", ("the cell '0;1;2'", "a number", "',' between cells")),
    "tidy": (
        "a,b,d\nx,y,0.5\nx,z,1\ny,z,2\n",
        ("the cell 'x' in row 2, column 1", "a number", "give"),
    ),
    "wide": ("0,1,2,5,6\n1,0,3,5,6\n2,3,0,5,6\n", (r"shape \(3, 5\)", "a square RDM", "give one")),
    "NaN": ("0,1,NaN\n1,0,3\nNaN,3,0\n", ("1 NaN or infinite of 3", "none", "leave out")),
    "other names": (
        ",a,b,c\nb,0,1,2\na,1,0,3\nc,2,3,0\n",
        ("other names in the first row", "the same names", "sort one of them"),
    ),
    "numbered by pandas": (
        ",a,b,c\n0,0,1,2\n1,1,0,3\n2,2,3,0\n",
        ("the numbers of the rows", "the names of the first row", r"to_csv\(index=False\)"),
    ),
    "numbered by R": (
        '"","a","b","c"\n"1",0,1,2\n"2",1,0,3\n"3",2,3,0\n',
        ("the numbers of the rows", "the names of the first row", "row.names = FALSE"),
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_tables_that_hold_no_rdm(tmp_path, case):
    text, (found, expected, advice) = BAD_TABLES[case]
    (tmp_path / "lab.csv").write_text(text)
    assert_stops(
        lambda: read(tmp_path / "lab.csv"),
        where=r"^lab\.csv: ",
        found=found,
        expected=expected,
        advice=advice,
    )


# Files that are damaged, or something else.


def write_struct73(path):
    fields = {"RDM": cells(list(squares(VECTORS))), "name": cells(["a", "b", "c"])}
    return write_matlab73_variables(path.with_suffix(".mat"), {"rdms": fields})


def write_struct5(path):
    struct = np.empty((1, 3), dtype=[("RDM", object), ("name", object)])
    struct["RDM"], struct["name"] = cells(list(squares(VECTORS))), cells(["a", "b", "c"])
    scipy.io.savemat(path.with_suffix(".mat"), {"rdms": struct})
    return path.with_suffix(".mat")


def write_csv(path):
    np.savetxt(path.with_suffix(".csv"), SQUARE, delimiter=",")
    return path.with_suffix(".csv")


WHOLE_FILES = {
    **{
        software: (lambda path, write=write: write(path, squares(VECTORS)))
        for software, write in ARRAY_WRITERS.items()
    },
    "rsatoolbox": lambda path: write_rsatoolbox(
        path.with_suffix(".hdf5"), VECTORS, {"image": NAMES}
    ),
    "struct 5": write_struct5,
    "struct 7.3": write_struct73,
    "csv": write_csv,
}


def vector_or_message(path):
    try:
        return read(path)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("kind", WHOLE_FILES)
def test_truncated_file_never_gives_an_rdm(tmp_path, kind):
    whole = WHOLE_FILES[kind](tmp_path / "whole")
    content, intact = whole.read_bytes(), read(whole)
    path = tmp_path / f"lab{whole.suffix}"
    for size in np.unique(np.linspace(0, 0.98 * len(content), 40).astype(int)):
        path.write_bytes(content[:size])
        outcome = vector_or_message(path)
        if isinstance(outcome, str):
            assert re.search(r"^lab\..*found .*expected .*; ", outcome), (size, outcome)
        else:
            # What is cut off may be no part of the first RDM.
            np.testing.assert_array_equal(outcome, intact, err_msg=f"{size} bytes")


@pytest.mark.parametrize("kind", ["hdf5", "rsatoolbox", "matlab73", "struct 7.3"])
def test_truncated_hdf5(tmp_path, kind):
    whole = WHOLE_FILES[kind](tmp_path / "whole")
    path = tmp_path / f"lab{whole.suffix}"
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert_stops(
        lambda: read(path),
        where=r"^lab\.",
        found=f"{len(content) * 2 // 3} bytes that are no complete HDF5 file",
        expected="a whole one",
        advice="download or copy it again",
    )


WEB_PAGE = b"<!doctype html><title>Log in</title>"


@pytest.mark.parametrize(
    ("suffix", "content", "found", "expected"),
    [
        (".h5", WEB_PAGE, f"{len(WEB_PAGE)} bytes that are no complete HDF5", "a whole one"),
        (".h5", b"", "0 bytes that are no complete HDF5", "a whole one"),
        (".hdf5", b"\x89HDF\r\n\x1a\n" + bytes(50), "58 bytes that are no complete", "a whole one"),
        (".mat", WEB_PAGE, "a file that is no readable MATLAB file", "one that MATLAB's save"),
        (".mat", b"", "a file that is no readable MATLAB file", "one that MATLAB's save"),
        (".npy", WEB_PAGE, "data that numpy cannot read", "a numeric array"),
        (".npy", b"", "data that cannot be read", "a whole file"),
        (".npz", b"PK\x03\x04" + bytes(30), "data that cannot be read", "a whole file"),
        (".csv", b"\xff\xfe0\x001\x00", "no text table", "a square matrix"),
        (".csv", WEB_PAGE, "the cell '<!doctype", "a number"),
        (".pkl", b"", "the suffix '.pkl'", "one of .h5.*; activations .*responses by `brain: "),
        (".nii.gz", b"", r"the suffix '\.nii\.gz'", "one of .h5.*responses by `brain: "),
    ],
)
def test_file_of_another_kind(tmp_path, suffix, content, found, expected):
    path = tmp_path / f"lab{suffix}"
    path.write_bytes(content)
    advice = "(download|save|export|give|copy|data: patterns)"
    assert_stops(lambda: read(path), where=r"^lab\.", found=found, expected=expected, advice=advice)


def test_contents_that_hdf5_cannot_decode(tmp_path):
    path = tmp_path / "lab.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("rdms", data=squares(VECTORS), chunks=True, compression="gzip")
        offset = file["rdms"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 64] = bytes(64)
    path.write_bytes(content)
    assert_stops(
        lambda: read(path),
        where=r"^lab\.h5, rdms: ",
        found="data that cannot be read",
        expected="a whole file",
        advice="download or copy it again",
    )


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickles_are_refused_and_never_run(tmp_path, suffix):
    marker = tmp_path / "ran"
    path = tmp_path / f"lab{suffix}"

    class Payload:
        def __reduce__(self):
            return Path.touch, (marker,)

    payload = np.array([Payload()], dtype=object)
    np.save(path, payload) if suffix == ".npy" else np.savez(path, rdms=payload)
    np.load(path, allow_pickle=True)["rdms" if suffix == ".npz" else ...]
    assert marker.exists(), "the payload does not work, so this test shows nothing"
    marker.unlink()
    assert_stops(
        lambda: read(path),
        where=rf"^lab\{suffix}",
        found="data that numpy cannot read without unpickling",
        expected="a numeric array",
        advice="save it again as numbers or strings",
    )
    assert not marker.exists()


@pytest.mark.parametrize("as_pandas_does", [True, False])
def test_a_table_of_pandas_is_read_as_the_advice_says(tmp_path, as_pandas_does):
    """By default pandas writes a first column of row numbers beside the names in the header."""
    table = pd.DataFrame(SQUARE, columns=NAMES)
    table.to_csv(tmp_path / "lab.csv", index=as_pandas_does)
    if as_pandas_does:
        with pytest.raises(InputError, match=r"to_csv\(index=False\)"):
            read(tmp_path / "lab.csv")
    else:
        np.testing.assert_allclose(read(tmp_path / "lab.csv"), VECTORS[0], rtol=1e-12)


def test_missing_file(tmp_path):
    assert_stops(
        lambda: read(tmp_path / "sub-01.h5"),
        where=r"sub-01\.h5: ",
        found="no such file",
        expected="RDMs",
        advice="check the folder and the file pattern",
    )


# Variables, fields and names inside a file.


def write_two_variables(path):
    if path.suffix == ".npz":
        np.savez(path, EVC=SQUARE, IT=SQUARE)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["EVC"] = file["IT"] = SQUARE
    elif path.stem == "v5":
        scipy.io.savemat(path, {"EVC": SQUARE, "IT": SQUARE})
    else:
        write_matlab73_variables(path, {"EVC": SQUARE, "IT": SQUARE})


@pytest.mark.parametrize("file", ["lab.npz", "lab.h5", "v5.mat", "v73.mat"])
@pytest.mark.parametrize(
    ("key", "found", "expected"),
    [("V4", "(array|variable): 'EVC', 'IT'", "'V4'"), (None, r".* several \('EVC', 'IT'\)", "one")],
)
def test_variable_that_is_not_there(tmp_path, file, key, found, expected):
    write_two_variables(tmp_path / file)
    assert_stops(
        lambda: read(tmp_path / file, key=key),
        where=re.escape(file),
        found=found,
        expected=expected,
        advice="name it by `key` in the config",
    )


@pytest.mark.parametrize("write", [write_struct5, write_struct73])
@pytest.mark.parametrize(("field", "expected"), [("rdm", "'rdm'")])
def test_struct_field_that_is_not_there(tmp_path, write, field, expected):
    path = write(tmp_path / "lab")
    assert_stops(
        lambda: read(path, field=field),
        where=r"^lab\.mat, rdms: ",
        found="struct field: 'RDM', 'name'",
        expected=expected,
        advice="name it by `field`",
    )


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_structs_and_cells_that_hold_something_else(tmp_path, version):
    ragged = {"rdms": cells([SQUARE, SQUARE[:5, :5]])}
    path = tmp_path / "lab.mat"
    scipy.io.savemat(path, ragged) if version == "5" else write_matlab73_variables(path, ragged)
    assert_stops(
        lambda: read(path),
        where=r"^lab\.mat, rdms: ",
        found=r"RDMs of 2 different shapes \[\(5, 5\), \(8, 8\)\]",
        expected="one shape",
        advice="keep conditions apart",
    )


def test_group_instead_of_an_array(tmp_path):
    with h5py.File(tmp_path / "lab.h5", "w") as file:
        file["s1/rdm"] = SQUARE
    assert_stops(
        lambda: read(tmp_path / "lab.h5"),
        where=r"^lab\.h5, s1: ",
        found="a group of 'rdm'",
        expected="an array of RDMs",
        advice="for example s1/<name>",
    )


@pytest.mark.parametrize("file", ["lab.npy", "lab.npz", "lab.h5", "lab.mat", "lab.csv"])
def test_missing_names_of_conditions(tmp_path, file):
    if file == "lab.csv":
        write_csv(tmp_path / "lab")
    else:
        software = {"npy": "npy", "npz": "npz", "h5": "hdf5", "mat": "matlab73"}[file[4:]]
        ARRAY_WRITERS[software](tmp_path / "lab", SQUARE)
    source = brain_source(files=file)
    assert_stops(
        lambda: names_by_file(source, tmp_path),
        where=rf"^{re.escape(file)}",
        found="(no names of conditions|(array|variable) of names: none)",
        expected="(`conditions|one)",
        advice="(`conditions|conditions.key|from: order)",
    )


def test_descriptor_of_names_that_is_not_there(tmp_path):
    write_rsatoolbox(tmp_path / "lab.h5", VECTORS[:1], {"image": NAMES, "picture": NAMES})
    for key, expected in ((None, "one"), ("stimulus", "'stimulus'")):
        source = brain_source(files="lab.h5", conditions={"key": key})
        assert_stops(
            lambda source=source: names_by_file(source, tmp_path),
            where=r"^lab\.h5: ",
            found=".*'image', 'picture'",
            expected=expected,
            advice="name it by `conditions.key` in the config",
        )


@pytest.mark.parametrize(
    "conditions",
    [{"from": "list", "file": "names.txt"}, {"from": "stored", "key": "images"}],
)
@pytest.mark.parametrize("n_names", [0, N - 1, N + 1])
def test_other_number_of_names(tmp_path, conditions, n_names):
    names = [f"x{i}" for i in range(n_names)]
    (tmp_path / "names.txt").write_text("\n".join(names))
    np.savez(tmp_path / "lab.npz", rdms=SQUARE, images=np.array(names, dtype="U9"))
    source = brain_source(files="lab.npz", key="rdms", conditions=conditions)
    assert_stops(
        lambda: names_by_file(source, tmp_path),
        where=r"^lab\.npz, rdms: ",
        found=f"{n_names} names for RDMs of 8 conditions",
        expected="one name for each",
        advice="check `conditions`",
    )


@pytest.mark.parametrize(
    ("file", "content", "column", "found", "expected", "advice"),
    [
        ("none.txt", None, None, "no such file", "a list", "correct `conditions.file`"),
        ("names.csv", b"id,image\n1,a\n", "name", "the columns id, image", "'name'", "correct"),
        ("names.txt", b"\xff\xfea\x00", None, "no readable text", "a list", "as UTF-8"),
        ("names.csv", b"a,b\n1,2,3\n4\n5,6,7,8\n", "a", "no readable text", "a list", "as UTF-8"),
    ],
)
def test_list_of_names_that_cannot_be_used(
    tmp_path, file, content, column, found, expected, advice
):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    np.save(tmp_path / "lab.npy", SQUARE)
    conditions = {"from": "list", "file": file, "column": column}
    source = brain_source(files="lab.npy", conditions=conditions)
    assert_stops(
        lambda: names_by_file(source, tmp_path),
        where=file,
        found=found,
        expected=expected,
        advice=advice,
    )


# Names of images over files.


def study_of(folder, model_names, images):
    write_rsatoolbox(folder / "brain.h5", VECTORS[:1], {"image": NAMES})
    write_rsatoolbox(folder / "net.h5", VECTORS[:1], {"image": model_names})
    layers = {"names": ["fc"], "from": "constant"}
    return completed_config(
        brain={**shortest_brain(), "files": "brain.h5"},
        models={"net": {"files": "net.h5", "layers": layers}},
        images=images,
    )["rsa"]["lab"]


@pytest.mark.parametrize(
    ("model_names", "images", "where", "found", "expected", "advice"),
    [
        (
            [*NAMES[:5], "x.jpg", "y.jpg", "z.jpg"],
            {"unmatched": "drop"},
            "^",
            r"5 image names common to all files \(brain\.h5 has 8, net\.h5 has 8; .*'image0\.jpg'",
            r"at least 8 \(images\.min_common\)",
            "compare how the files spell them, or set images.match to normalised",
        ),
        (
            [*NAMES[:6], "x.jpg", "y.jpg"],
            {"min_common": 4},
            r"^brain\.h5: ",
            r"2 image name\(s\) .*'image6\.jpg'",
            "the same names",
            "correct the names, or set images.match to normalised, or, .* images.unmatched to drop",
        ),
        (
            [name.replace("jpg", "PNG") if i > 4 else name for i, name in enumerate(NAMES)],
            {"min_common": 4},
            r"^brain\.h5: ",
            r"3 image name\(s\) .*'image5\.jpg', which net\.h5 lacks",
            "the same names",
            "images.match to normalised.*images.unmatched to drop",
        ),
        (
            [*NAMES],
            {"min_common": 12, "match": "normalised"},
            "^",
            r"8 image names common to all files \(brain\.h5 has 8, net\.h5 has 8",
            r"at least 12 \(images\.min_common\)",
            "all files hold the same, so lower images.min_common",
        ),
        (
            [*NAMES[:7], NAMES[0]],
            {},
            r"^net\.h5: ",
            r"1 image name\(s\) more than once .*'image0\.jpg' and 'image0\.jpg'",
            "each once",
            "average repeats or rename them",
        ),
        (
            [*NAMES[:7], f"rep_{NAMES[0]}"],
            {"match": "normalised"},
            r"^net\.h5: ",
            r"1 image name\(s\) more than once .*'image0\.jpg' and 'rep_image0\.jpg'",
            "each once",
            "set images.match to exact",
        ),
    ],
)
def test_images_that_do_not_match(tmp_path, model_names, images, where, found, expected, advice):
    study = study_of(tmp_path, model_names, images)
    assert_stops(
        lambda: aligned_images(study, tmp_path),
        where=where,
        found=found,
        expected=expected,
        advice=advice,
    )


def test_advice_on_too_few_of_the_same_names_is_not_on_their_spelling(tmp_path):
    study = study_of(tmp_path, NAMES, {"min_common": 12})
    with pytest.raises(InputError) as stopped:
        aligned_images(study, tmp_path)
    assert "spell" not in str(stopped.value)
    assert "normalised" not in str(stopped.value)


def test_names_that_differ_in_their_ending_match_as_the_advice_says(tmp_path):
    names = [name.replace("jpg", "PNG") if i > 4 else name for i, name in enumerate(NAMES)]
    study = study_of(tmp_path, names, {"match": "normalised"})
    images, _ = aligned_images(study, tmp_path)
    assert len(images) == N


# Labels that the files do not hold.


def first_rdm(folder, source):
    """Read the first RDM of a source whose conditions are in a known order."""
    names = [f"image_{i:04d}" for i in range(1, N + 1)]
    return next(read_aligned(source, folder, names, match="exact"))


def by_axis(names, axis=0):
    return {"names": names, "from": "axis", "axis": axis}


@pytest.mark.parametrize("block", ["rois", "layers"])
@pytest.mark.parametrize("descriptor", [None, "label", "colour"])
def test_label_that_no_descriptor_holds(tmp_path, block, descriptor):
    write_rsatoolbox(tmp_path / "lab.h5", VECTORS, {"image": NAMES}, {"label": ["a", "b", "c"]})
    axis = {"names": ["a", "wrong"], "from": "descriptor", "descriptor": descriptor}
    if block == "rois":
        source = brain_source(files="lab.h5", rois=axis, conditions={"from": "order"})
    else:
        model = {"files": "lab.h5", "layers": axis, "conditions": {"from": "order"}}
        source = completed_config(models={"net": model})["rsa"]["lab"]["models"]["net"]
    assert_stops(
        lambda: first_rdm(tmp_path, source),
        where=r"^lab\.h5: ",
        found="the RDM descriptors .*label: 'a', 'b', 'c'",
        expected=f"{repr(descriptor) if descriptor else 'one'} with the {block} 'a', 'wrong'",
        advice="correct the names, or map each to its spelling in the file",
    )


def test_labels_in_a_file_without_descriptors(tmp_path):
    np.save(tmp_path / "lab.npy", VECTORS)
    rois = {"names": ["V1"], "from": "descriptor"}
    source = brain_source(files="lab.npy", rois=rois, conditions={"from": "order"})
    assert_stops(
        lambda: first_rdm(tmp_path, source),
        where=r"^lab\.npy: ",
        found="the RDM descriptors none",
        expected="one with the rois 'V1'",
        advice="correct the names",
    )


def test_labels_in_two_descriptors_that_disagree(tmp_path):
    descriptors = {"a": ["1", "2", "3"], "b": ["3", "1", "2"]}
    write_rsatoolbox(tmp_path / "lab.h5", VECTORS, {"image": NAMES}, descriptors)
    rois = {"names": [1, 2, 3], "from": "descriptor"}
    source = brain_source(files="lab.h5", rois=rois, conditions={"from": "order"})
    assert_stops(
        lambda: first_rdm(tmp_path, source),
        where=r"^lab\.h5: ",
        found=r"the rois in several RDM descriptors \(a, b\)",
        expected="one",
        advice="name it by `descriptor`",
    )


@pytest.mark.parametrize(
    ("subjects", "found", "expected", "advice"),
    [
        (by_axis(["s1", "s2"]), "3 RDMs along axis 0", "2 because", "name all, or give some as"),
        (by_axis(["a", "b", "c", "d"]), "3 RDMs along axis 0", "4 because", "name all, or"),
        (
            by_axis({"s4": 3}),
            "3 RDMs along axis 0",
            "a position of 0 to 2 for .*'s4', not 3",
            "cor",
        ),
        (by_axis(["a", "b", "c"], 1), r"RDMs along 1 axes of lengths \(3,\)", ".* axis 1", "cor"),
        (
            {"names": ["s1"], "from": "constant"},
            r"3 RDMs for subject s1, roi V1 \(axes over RDMs: \(3,\)\)",
            "exactly one",
            "describe each of these axes",
        ),
    ],
)
def test_subjects_that_the_axis_does_not_hold(tmp_path, subjects, found, expected, advice):
    np.save(tmp_path / "lab.npy", squares(VECTORS))
    source = brain_source(files="lab.npy", subjects=subjects, conditions={"from": "order"})
    assert_stops(
        lambda: first_rdm(tmp_path, source),
        where=r"^lab\.npy: ",
        found=found,
        expected=expected,
        advice=advice,
    )


# The config.


def config_with(**changes):
    """Return a config in which keys, by their dotted places, are changed; None removes one."""
    brain = shortest_brain()
    models = {"net": {"files": "net.npy", "layers": {"names": ["fc"], "from": "constant"}}}
    lab = {"title": "Lab", "source": "path", "path": "raw", "brain": brain, "models": models}
    config = {"run": "test", "studies": ["lab"], "rsa": {"lab": lab}}
    for place, value in changes.items():
        *way, key = place.split("__")
        block = config
        for step in way:
            block = block.setdefault(step, {})
        if value is REMOVED:
            del block[key]
        else:
            block[key] = value
    return config


REMOVED = object()
OTHER = {"title": "Other", "source": "path", "path": "raw"}
CONFIG_ERRORS = {
    "unknown key": (
        {"rsa__lab__comparator": ["pearson"]},
        "config, rsa.lab",
        "the unknown key 'comparator'",
        "one of extends, title, .*, comparators, ",
        "did you mean 'comparators'",
    ),
    "unknown key in a block": (
        {"rsa__lab__images__mach": "exact"},
        "config, rsa.lab.images",
        "the unknown key 'mach'",
        "one of match, unmatched, called, min_common, groups",
        "did you mean 'match'",
    ),
    "unknown key at the top": (
        {"sede": 1},
        "config",
        "the unknown key 'sede'",
        "one of run, seed",
        "did you mean 'seed'",
    ),
    "unknown key like no other": (
        {"zzz": 1},
        "config",
        "the unknown key 'zzz'",
        "one of run, seed",
        "correct it",
    ),
    "wrong choice": (
        {"rsa__lab__source": "mirrored"},
        "config, rsa.lab.source",
        "'mirrored'",
        "one of simulated, mirror, download, path",
        "did you mean 'mirror'",
    ),
    "wrong choice in a list": (
        {"rsa__lab__comparators": ["pearson", "spearmann"]},
        "config, rsa.lab.comparators.1",
        "'spearmann'",
        "one of pearson, cosine, spearman, rho-a",
        "did you mean 'spearman'",
    ),
    "missing key": (
        {"rsa__lab__brain__rois": REMOVED},
        "config, rsa.lab.brain",
        "no key 'rois'",
        "it",
        "add it",
    ),
    "missing key at the top": ({"studies": REMOVED}, "config", "no key 'studies'", "it", "add it"),
    "text for a number": ({"seed": "x"}, "config, seed", "'x'", "a whole number", "correct it"),
    "too small": ({"seed": -1}, "config, seed", "-1", "at least 0", "correct it"),
    "too large": (
        {"rsa__lab__inference__alpha": 1},
        "config, rsa.lab.inference.alpha",
        "1",
        "less than 1",
        "",
    ),
    "empty block": ({"rsa__lab__images": None}, ".*lab.images", "None", "a block of keys", ""),
    "no study": ({"studies": []}, "config, studies", r"\[\]", "at least 1 of them", "correct it"),
    "list for a block": (
        {"rsa__lab__brain__rois": ["V1"]},
        ".*brain.rois",
        r"\['V1'\]",
        "a block of keys",
        "correct",
    ),
    "one name without a list": (
        {"rsa__lab__brain__rois__names": "V1"},
        ".*rois.names",
        "'V1'",
        ".*a list, or a mapping",
        "",
    ),
    "name twice": (
        {"rsa__lab__brain__rois__names": ["V1", "V1"]},
        ".*names",
        r"\['V1', 'V1'\]",
        ".*a list",
        "",
    ),
    "no name for a folder": ({"run": "my run/1"}, "config, run", "'my run/1'", "something of", ""),
    "study like a number": ({"rsa__92x": OTHER}, "config, rsa", "'92x'", "something of", "correct"),
    "unknown study": (
        {"studies": ["lap"]},
        "config, studies",
        "'lap'",
        "one of lab",
        "did you mean 'lab'",
    ),
    "no studies at all": ({"rsa": {}}, "config, studies", "'lab'", "one of none", "correct it"),
    "extends nothing": (
        {"rsa__other": {"extends": "lav"}},
        "config, rsa.other.extends",
        "'lav'",
        "one of lab, other",
        "did you mean 'lab'",
    ),
    "extends a list": (
        {"rsa__other": {"extends": ["lab"]}},
        ".*other.extends",
        r"\['lab'\]",
        "one of lab",
        "",
    ),
    "extends nothingness": (
        {"rsa__a": None, "rsa__other": {"extends": "a"}},
        ".*rsa.a",
        "None",
        "a block of keys",
        "",
    ),
    "circle": (
        {"rsa__a": {"extends": "b"}, "rsa__b": {"extends": "a"}},
        "config, rsa.b.extends",
        "a circle over 'a'",
        "an entry that does not lead back",
        "break it",
    ),
    "own parent": (
        {"rsa__a": {"extends": "a"}},
        ".*rsa.a.extends",
        "a circle over 'a'",
        "an entry",
        "break it",
    ),
    "path without a path": (
        {"rsa__lab__path": None},
        ".*lab.source",
        "'path' without `path`",
        "both",
        "give `path`",
    ),
    "simulated without a simulator": (
        {"rsa__lab__source": "simulated"},
        ".*lab.source",
        "'simulated' without `simulation.simulator`",
        "both",
        "give `simulation.simulator`",
    ),
    "mirror without a data set": (
        {"rsa__lab__source": "mirror"},
        ".*lab.source",
        "'mirror' without `dataset`",
        "both",
        "give",
    ),
    "placeholder missing": (
        {"rsa__lab__brain__subjects__from": "file_name"},
        r"config, rsa\.lab\.brain\.files",
        "'brain.npy'",
        "{subject} in it because .* from the file name",
        "write it there",
    ),
    "placeholder too many": (
        {"rsa__lab__brain__files": "{subject}.npy"},
        r"config, rsa\.lab\.brain\.files",
        "{subject} in '{subject}.npy'",
        "none because",
        "say `from: file_name`",
    ),
    "axis without its number": (
        {"rsa__lab__brain__rois__from": "axis"},
        ".*brain",
        "`from: axis`",
        "its number",
        "give it",
    ),
    "axis by a word": (
        {"rsa__lab__brain__rois": by_axis({"V1": "first"})},
        ".*brain",
        "'first' for the roi 'V1'",
        "its position",
        "give a number, counted from 0",
    ),
    "list without a file": (
        {"rsa__lab__brain__conditions": {"from": "list"}},
        r"config, rsa\.lab\.brain\.conditions",
        "`from: list`",
        "a `file`",
        "give its name",
    ),
    "list of names of stimuli without a file": (
        {"rsa__lab__stimuli": {"files": "*.png", "conditions": {"from": "list"}}},
        r"config, rsa\.lab\.stimuli\.conditions",
        "`from: list`",
        "a `file`",
        "give its name",
    ),
    "pattern of stimuli with a name": (
        {"rsa__lab__stimuli": {"files": "*.png", "conditions": {"pattern": "{name}"}}},
        r"config, rsa\.lab\.stimuli\.conditions\.pattern",
        "'{name}'",
        "one place for a number",
        "write it as {:04d}",
    ),
    "atlas without its file": (
        {"rsa__lab__brain__rois": {"names": {"V1": 1}, "from": "atlas"}},
        r"config, rsa\.lab\.brain\.rois",
        "`from: atlas`",
        "the file with the labels",
        "give its name in `atlas`",
    ),
    "pattern without a place": (
        {"rsa__lab__models__net__conditions__pattern": "image"},
        r"config, rsa\.lab\.models\.net\.conditions\.pattern",
        "'image'",
        "one place for a number",
        "write it as {:04d}",
    ),
    "pattern with an open brace": (
        {"rsa__lab__brain__conditions__pattern": "{:04d"},
        ".*pattern",
        "'{:04d'",
        "one place",
        "",
    ),
    "pattern with a name": (
        {"rsa__lab__brain__conditions__pattern": "{image}"},
        ".*pattern",
        "'{image}'",
        "one",
        "",
    ),
    "broken regular expression": (
        {"rsa__lab__images__groups": {"faces": "(face"}},
        r"config, rsa\.lab\.images\.groups\.faces",
        r"'\(face'",
        "a regular expression",
        "write a backslash",
    ),
    "group of an unknown ROI": (
        {"rsa__lab__roi_groups": {"early": ["V11"]}},
        r"config, rsa\.lab\.roi_groups\.early",
        "'V11'",
        "one of V1",
        "did you mean 'V1'",
    ),
    "name kept for averages": (
        {"rsa__lab__brain__subjects__names": ["joint"]},
        "config, rsa.lab.brain",
        "a subject 'joint'",
        "neither",
        "give them another name",
    ),
}


@pytest.mark.parametrize("case", CONFIG_ERRORS)
def test_config_that_cannot_be_used(case):
    changes, where, found, expected, advice = CONFIG_ERRORS[case]
    complete_config(config_with())
    assert_stops(
        lambda: complete_config(config_with(**changes)),
        where=f"^{where}: ",
        found=found,
        expected=expected,
        advice=advice or "; (correct|did|give|write)",
    )


PATTERNS_OF_IMAGES = {
    "data": "patterns",
    "files": "b.nii",
    "subjects": {"names": ["s1"], "from": "constant"},
    "rois": {"names": {"V1": "v1.nii"}, "from": "mask"},
}


@pytest.mark.parametrize("file", ["/data/lab/x.npy", "~/lab/x.npy"])
@pytest.mark.parametrize(
    ("place", "block"),
    [
        ("brain.files", lambda file: {"brain": {**shortest_brain(), "files": file}}),
        (
            "models.net.files",
            lambda file: {"models": {"net": {"files": file}}},
        ),
        (
            "models.net.features",
            lambda file: {"models": {"net": {"features": file}}},
        ),
        ("stimuli.files", lambda file: {"stimuli": {"files": file}}),
        (
            "stimuli.conditions.file",
            lambda file: {
                "stimuli": {"files": "*.png", "conditions": {"from": "list", "file": file}}
            },
        ),
        (
            "brain.observations.file",
            lambda file: {"brain": {**PATTERNS_OF_IMAGES, "observations": {"file": file}}},
        ),
        (
            "brain.rois.names",
            lambda file: {
                "brain": {**PATTERNS_OF_IMAGES, "rois": {"names": {"V1": file}, "from": "mask"}}
            },
        ),
        (
            "brain.rois.atlas",
            lambda file: {
                "brain": {
                    **PATTERNS_OF_IMAGES,
                    "rois": {"names": {"V1": 1}, "from": "atlas", "atlas": file},
                }
            },
        ),
        (
            "searchlight.mask",
            lambda file: {"brain": PATTERNS_OF_IMAGES, "searchlight": {"mask": file}},
        ),
    ],
)
def test_files_that_would_be_glued_to_their_folder(place, block, file):
    """They were looked for in path/data/lab."""
    changes = {f"rsa__lab__{key}": value for key, value in block(file).items()}
    assert_stops(
        lambda: complete_config(config_with(**changes)),
        where=re.escape(f"config, rsa.lab.{place}: "),
        found=f"the path '{file}'",
        expected="one relative to the folder",
        advice="let `path` name the folder",
    )


@pytest.mark.parametrize(
    ("path", "written"), [("~/data", f"{Path.home()}/data"), ("~", str(Path.home()))]
)
def test_home_folder_by_its_short_name(path, written):
    assert_stops(
        lambda: complete_config(config_with(rsa__lab__path=path)),
        where=r"^config, rsa\.lab\.path: ",
        found=f"'{path}'",
        expected="a folder without ~",
        advice=f"write {written}$",
    )


@pytest.mark.parametrize("text", ["[run, mine]", "mine", "3", "- run: mine\n- studies: [lab]"])
def test_config_file_without_keys(tmp_path, text):
    (tmp_path / "my.yaml").write_text(text)
    assert_stops(
        lambda: read_config(tmp_path / "my.yaml", None),
        where=r"my\.yaml: ",
        found="",
        expected="keys with their values",
        advice="write `run: <name>`",
    )


def test_numbers_as_keys_do_not_hide_an_error():
    changes = {"rsa__lab__roi_groups": {1: "V1", "b": "V1"}}
    with pytest.raises(InputError, match=r"roi_groups\.1: found 'V1', expected a list"):
        complete_config(config_with(**changes))


# Whole files only.


def test_file_is_whole_when_it_appears(tmp_path):
    path = tmp_path / "new" / "a.csv"
    with written_whole(path) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["a.csv"]


@pytest.mark.parametrize("name", ["a.csv", "map.nii.gz", "no_suffix", ".hidden"])
def test_temporary_name_keeps_the_suffixes_and_is_hidden(tmp_path, name):
    with written_whole(tmp_path / name) as temporary:
        temporary.write_text("x")
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(name)
        assert temporary.name != name


def fail_half_way(path, failure, written="half"):
    with written_whole(path) as temporary:
        temporary.write_text(written)
        raise failure("stop")


@pytest.mark.parametrize("failure", [InputError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("written", ["", "half"])
def test_failure_leaves_the_previous_file_alone(tmp_path, failure, written):
    path = tmp_path / "a.csv"
    path.write_text("previous")
    before = path.stat()
    with pytest.raises(failure):
        fail_half_way(path, failure, written)
    assert path.read_text() == "previous"
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(tmp_path) == ["a.csv"]


def test_failure_leaves_nothing_behind_where_nothing_was(tmp_path):
    with pytest.raises(ZeroDivisionError):
        fail_half_way(tmp_path / "a.csv", ZeroDivisionError)
    assert os.listdir(tmp_path) == []


def test_writing_nothing_is_a_failure(tmp_path):
    (tmp_path / "a.csv").write_text("previous")
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "a.csv"):
        pass
    assert (tmp_path / "a.csv").read_text() == "previous"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_digest_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == expected


# Jobs.

SENTENCE = "lab.h5: found nothing, expected RDMs; give a file"
JOB = """
import warnings
from types import SimpleNamespace
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job

given = {{"threads": 3, "resources": {{"gpu": 1}}}}
wildcards = {{"study": "lab"}}
snakemake = SimpleNamespace(log=["logs/new/job.log"], rule="align", wildcards=wildcards, **given)
with script_job(snakemake) as log:
    log.info("at work")
    {statement}
print("after")
"""


def run_job(folder, statement):
    """Run a script as Snakemake would; return the process and its log."""
    (folder / "job.py").write_text(JOB.format(statement=statement))
    process = subprocess.run(
        [sys.executable, "job.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return process, (folder / "logs" / "new" / "job.log").read_text()


def test_job_stops_with_one_sentence(tmp_path):
    process, log = run_job(tmp_path, f"raise InputError({SENTENCE!r})")
    assert process.returncode == 1
    assert process.stdout == ""
    (line,) = process.stderr.splitlines()
    assert re.fullmatch(rf"[\d-]+ [\d:,]+ ERROR {re.escape(SENTENCE)}", line)
    assert "Traceback" not in log
    assert log.splitlines()[-1] == line
    assert "rule align, wildcards {'study': 'lab'}" in log
    assert re.search(JOB_STARTED, log, re.M).groupdict() == {"threads": "3", "gpu": "1"}
    assert "at work" in log


def test_job_with_a_bug_shows_where(tmp_path):
    process, log = run_job(tmp_path, "1 / 0")
    assert process.returncode == 1
    for text in (process.stderr, log):
        assert "rule align failed" in text
        assert text.rstrip().endswith("ZeroDivisionError: division by zero")


def test_job_that_crashes_below_python_shows_where(tmp_path):
    process, log = run_job(tmp_path, "import ctypes; ctypes.string_at(0)")
    assert process.returncode == -signal.SIGSEGV
    assert "at work" in log
    assert "Fatal Python error: Segmentation fault" in log
    line = JOB.splitlines().index("    {statement}") + 1
    assert re.search(rf'job\.py", line {line} in <module>', log)


def test_job_that_succeeds_is_silent_but_for_warnings(tmp_path):
    process, log = run_job(tmp_path, "warnings.warn('beware', stacklevel=1)")
    assert process.returncode == 0
    assert process.stdout == "after\n"
    assert "beware" in process.stderr
    assert "at work" not in process.stderr
    assert "beware" in log
    taken = re.search(JOB_DONE, log.splitlines()[-1])
    assert 0 < float(taken["cpu"]) < 60
    # A Python process with little in it.
    assert taken["memory"] is None or 5 < int(taken["memory"]) < 2000
