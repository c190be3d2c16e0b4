"""Files made to do harm are refused with a sentence: nothing runs, or leaks, or fills memory.

Archives that lead out of their folder, links and bombs among the raw files are held by
test_archives.py, pickled mappings by test_algonauts.py, downloads by test_downloads.py.
"""

import gzip
import io
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from functools import partial
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch
from PIL import EpsImagePlugin, Image

from tests.unit.foreign_files import (
    NAMES,
    PATTERNS,
    PIXELS,
    SQUARES,
    VECTORS,
    read_array,
    read_bdata,
    read_features,
    read_patterns,
    read_rdm,
    read_rdms,
    read_stimuli,
    read_volumes,
    write_bdata_file,
)
from tests.unit.raw_files import cells
from workflow.lib.acquire.datasets import RawFile
from workflow.lib.acquire.unpack import unpack_member
from workflow.lib.errors import InputError
from workflow.lib.features import image_files
from workflow.lib.features.image_files import decoded
from workflow.lib.features.state_dicts import read_state
from workflow.lib.nifti.maps import read_maps
from workflow.lib.rdms.files import open_rdm_file

# Reading a file that is refused takes less.
MOST_MEMORY = 100_000_000


def assert_refused(read, path, message):
    """Check that a file is refused in one sentence, without taking memory."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


# Pickles, which can call anything.


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickled_in(path, payload):
    objects = np.array([payload], dtype=object)
    writers = {
        ".npy": lambda: np.save(path, objects, allow_pickle=True),
        ".npz": lambda: np.savez(path, a=objects, allow_pickle=True),
        ".pth": lambda: torch.save({"a": payload}, path),
        ".pt": lambda: torch.save(payload, path),
        ".pkl": lambda: path.write_bytes(pickle.dumps(payload)),
    }
    writers[path.suffix]()
    return path


@pytest.mark.parametrize(
    ("name", "read"),
    [
        *((f"a.{suffix}", read) for suffix in ("npy", "npz") for read in (read_rdm, read_array)),
        *((f"a.{suffix}", read) for suffix in ("npy", "npz") for read in (read_stimuli,)),
        *((f"a.{suffix}", read_state) for suffix in ("pth", "pt", "pkl")),
        *(("a.pkl", read) for read in (read_rdm, read_array, read_stimuli)),
        ("a.npz", read_features),
    ],
)
def test_pickle_is_refused_and_never_run(tmp_path, name, read):
    ran = tmp_path / "ran"
    path = pickled_in(tmp_path / name, Touch(ran))
    ran.unlink(missing_ok=True)
    with pytest.raises(InputError, match="found"):
        read(path)
    assert not ran.exists()


def test_the_payload_works(tmp_path):
    """Otherwise the test above would show nothing."""
    pickle.loads(pickle.dumps(Touch(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["a.pth", "a.pt"])
def test_raw_pickle_named_as_weights_is_refused(tmp_path, name):
    ran = tmp_path / "ran"
    (tmp_path / name).write_bytes(pickle.dumps(Touch(ran)))
    assert_refused(read_state, tmp_path / name, "which could run code|no readable weights")
    assert not ran.exists()


# Archives of other kinds: only zip is read, so that a tar cannot lead anywhere.


def tar_file(path, name):
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return path


@pytest.mark.parametrize("name", ["../out.npz", "/tmp/out.npz", "a/out.npz"])
def test_tar_is_never_unpacked(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = tar_file(tmp_path / "in/a.zip", name)
    raw_file = RawFile("out.npz", origin="a.zip")
    with pytest.raises(InputError, match=r"a\.zip: found data that cannot be read"):
        unpack_member(path, raw_file, tmp_path / "there" / "out.npz")
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.zip", "in"]


@pytest.mark.parametrize("read", [read_rdm, read_array, read_stimuli])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
def test_tar_is_no_raw_file(tmp_path, name, read):
    with pytest.raises(InputError, match="found"):
        read(tar_file(tmp_path / name, "../out.npz"))


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "C:/a.png", "a\\..\\..\\a.png"])
def test_zip_of_images_with_a_name_that_leads_out_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"")
    assert_refused(read_stimuli, tmp_path / "a.zip", "which leads out of the archive")


# Archives of arrays with files that are none: harmless beside arrays, and no array themselves.


def with_text(path, name, **arrays):
    """Write an .npz with a text beside its arrays, as people who tell what is in it do."""
    np.savez(path, **arrays)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "What this is.")
    return path


@pytest.mark.parametrize(
    ("read", "arrays"),
    [
        (partial(read_rdms, key="a"), {"a": SQUARES, "names": NAMES}),
        (partial(read_patterns, key="a"), {"a": PATTERNS, "names": NAMES}),
        (partial(read_stimuli, key="a"), {"a": PIXELS, "names": NAMES[: len(PIXELS)]}),
        (read_features, {"a": PATTERNS, "names": NAMES}),
        (read_rdm, {"a": SQUARES[0]}),
        (read_array, {"a": PATTERNS}),
    ],
)
def test_readme_beside_arrays_changes_nothing(tmp_path, read, arrays):
    np.savez(tmp_path / "b.npz", **arrays)
    found = read(with_text(tmp_path / "a.npz", "readme.txt", **arrays))
    np.testing.assert_equal(found, read(tmp_path / "b.npz"))


@pytest.mark.parametrize("read", [read_rdm, read_array, read_stimuli, read_features])
def test_text_that_calls_itself_an_array_is_none(tmp_path, read):
    path = with_text(tmp_path / "a.npz", "a.npy")
    assert_refused(read, path, r"a\.npz.*: found data that are no array, expected")


def test_text_beside_arrays_that_calls_itself_one_is_no_list_of_names(tmp_path):
    path = with_text(tmp_path / "a.npz", "text.npy", a=SQUARES, names=NAMES)
    assert read_rdms(path, key="a")[-1] == NAMES


# Tables of numbers and names that were not meant.


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_number_without_end_is_a_name(tmp_path, value):
    """No whole number equals it."""
    np.savez(tmp_path / "a.npz", a=SQUARES, names=np.array([1.0, 2.5, 3, value]))
    with open_rdm_file(tmp_path / "a.npz", key="a") as file:
        assert file.stored_names("names") == ["1", "2.5", "3", str(value)]


@pytest.mark.parametrize("lines", [["image", "a", "b"], ["image,run", "a,1", "b,2"], ["image,run"]])
def test_table_of_names_in_place_of_patterns(tmp_path, lines):
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    assert_refused(
        read_array, tmp_path / "a.csv", r"a\.csv: found (no column beside 'image'|1 rows)"
    )


# Bombs: a little that claims, or unpacks to, very much.

GIGABYTES = 3_000_000_000


def zipped_zeros(path, name, start, n_bytes=GIGABYTES):
    """Write a zip whose member begins so and goes on with zeros, without holding them."""
    block = bytes(10_000_000)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        member.write(start)
        for _ in range(n_bytes // len(block)):
            member.write(block)
    return path


def npy_header(shape):
    buffer = io.BytesIO()
    head = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, head)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """Three megabytes that unpack to three gigabytes, as an .npz."""
    path = tmp_path_factory.mktemp("bomb") / "a.npz"
    return zipped_zeros(path, "a.npy", npy_header((GIGABYTES // 8,)))


@pytest.mark.slow
@pytest.mark.parametrize("read", [read_rdm, read_array, read_stimuli, read_features])
def test_npz_bomb(bomb, read):
    assert_refused(read, bomb, r"bytes that claim to hold 3,\d{3},\d{3},\d{3}")


@pytest.mark.parametrize("n_tensors", [1, 500])
@pytest.mark.parametrize("name", ["a.pth", "a.pt"])
def test_bomb_of_weights(tmp_path, monkeypatch, name, n_tensors):
    """Tensors of zeros, each of which may be harmless, packed as torch packs none but reads all."""
    state = {f"layer{i}": torch.zeros(1_000_000 // n_tensors) for i in range(n_tensors)}
    torch.save(state, tmp_path / "flat")
    with (
        zipfile.ZipFile(tmp_path / "flat") as flat,
        zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in flat.namelist():
            packed.writestr(member, flat.read(member))
    assert read_state(tmp_path / name).keys() == state.keys()
    monkeypatch.setattr("workflow.lib.bombs.HARMLESS_BYTES", 100_000)
    monkeypatch.setattr("workflow.lib.bombs.MOST_TIMES", 10)
    assert_refused(
        read_state, tmp_path / name, rf"^{name}: found [\d,]+ bytes that claim to hold 4,"
    )


@pytest.mark.parametrize("read", [read_rdm, read_array, read_features])
@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (2**62, 4), (-1, 3), (10**30,)])
def test_absurd_shape_in_an_npz(tmp_path, shape, read):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", npy_header(shape) + bytes(64))
    assert_refused(read, tmp_path / "a.npz", "found data that cannot be read")


@pytest.mark.parametrize("read", [read_rdm, read_array])
@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (2**62, 4), (-1, 3), (10**30,)])
def test_absurd_shape_in_an_npy(tmp_path, shape, read):
    (tmp_path / "a.npy").write_bytes(npy_header(shape) + bytes(64))
    assert_refused(read, tmp_path / "a.npy", "found data that cannot be read")


@pytest.mark.parametrize("read", [read_rdm, read_array])
@pytest.mark.parametrize("shape", [(10**6, 10**6), (3, 10**11)])
def test_hdf5_of_which_nothing_is_stored(tmp_path, shape, read):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("rdms", shape, "f8", chunks=(1, 1000), compression="gzip")
    assert_refused(read, tmp_path / "a.h5", "bytes that claim to hold")


def test_bdata_of_which_nothing_is_stored(tmp_path):
    write_bdata_file(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["dataset"]
        file.create_dataset("dataset", (10**9, 6), "f8", chunks=(1000, 6))
    assert_refused(read_bdata, tmp_path / "a.h5", "bytes that claim to hold")


def matlab_bytes(**variables):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables)
    return bytearray(buffer.getvalue())


@pytest.mark.parametrize("read", [read_rdm, read_array, read_stimuli])
def test_absurd_shape_in_a_matlab_file(tmp_path, read):
    content = matlab_bytes(a=SQUARES[0])
    # The dimensions, after the header, the array's tag and its flags.
    struct.pack_into("<ii", content, 128 + 8 + 16 + 8, 2**31 - 1, 2**31 - 1)
    (tmp_path / "a.mat").write_bytes(content)
    assert_refused(read, tmp_path / "a.mat", "bytes that claim to hold")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        # What scipy reads behind its own tables and ends the process: a type that the format has
        # not, and a flag that promises imaginary parts.
        *((184, value) for value in (0, 8, 10, 11, 14, 15, 99, 255)),
        *((145, flags) for flags in (0x08, 0xFF)),
        (144, 99),
        # Dimensions of less than two axes.
        *((156, size) for size in (0, 1, 2, 4)),
    ],
)
def test_matlab_file_that_lies_about_its_elements(tmp_path, place, value):
    content = matlab_bytes(a=SQUARES[0])
    assert content[176] == 9, "the type of the numbers stands elsewhere"
    content[176 if place == 184 else place] = value
    (tmp_path / "a.mat").write_bytes(content)
    assert_refused(read_rdm, tmp_path / "a.mat", "no readable MATLAB file")


@pytest.mark.parametrize("variable", [{"name": "x", "RDM": SQUARES[0]}, np.array([1, "a"], object)])
def test_matlab_file_that_promises_more_elements_than_there_are(tmp_path, variable):
    """scipy would count up to the number that is promised, for hours."""
    content = matlab_bytes(a=variable)
    struct.pack_into("<ii", content, 128 + 8 + 16 + 8, 10**4, 10**4)
    (tmp_path / "a.mat").write_bytes(content)
    assert_refused(read_rdm, tmp_path / "a.mat", "promises 100000000 elements")


def element(kind, data):
    """Return an element of a MATLAB file of version 5."""
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def array_element(of_class, shape, *elements, name=b""):
    head = [
        element(6, struct.pack("<II", of_class, 0)),
        element(5, struct.pack(f"<{len(shape)}i", *shape)),
        element(1, name),
    ]
    return element(14, b"".join([*head, *elements]))


def field_names(length, names):
    return [element(5, struct.pack("<i", length)), element(1, names)]


# Numbers of a type that the format has not, behind which scipy reads what is none.
UNTYPED = array_element(6, (1, 1), element(99, bytes(8)))
NO_FIELDS = array_element(2, (2**15, 2**15), *field_names(-1, bytes(32)))
LETTERS = bytes(65 + i % 26 for i in range(100_000))
HOSTILE_MATLAB = {
    # Twice the same name: scipy reads the first one, a function.
    "function beside an array of its name": (
        array_element(16, (1, 1), UNTYPED, name=b"a"),
        array_element(6, (1, 1), element(9, bytes(8)), name=b"a"),
        "an array of class 16",
    ),
    # scipy counts the elements that take no room, or compares each name to all others.
    "struct without fields": (
        array_element(2, (2**14, 2**14), *field_names(32, b""), name=b"a"),
        b"",
        "promises 268435456 elements",
    ),
    "struct without fields within a cell": (
        array_element(1, (1, 1), NO_FIELDS, name=b"a"),
        b"",
        "names of fields in 32 bytes, of -1 each",
    ),
    "struct of very many fields": (
        array_element(2, (0, 0), *field_names(1, LETTERS), name=b"a"),
        b"",
        "names of fields in 100000 bytes",
    ),
    "names of fields without an end": (
        array_element(2, (0, 0), *field_names(10, LETTERS[:100]), name=b"a"),
        b"",
        "names of fields that are longer than 9 letters",
    ),
}


@pytest.mark.parametrize("what", HOSTILE_MATLAB)
def test_matlab_file_that_is_hostile(tmp_path, what):
    """These ended the process, or kept it busy for hours."""
    *variables, message = HOSTILE_MATLAB[what]
    (tmp_path / "a.mat").write_bytes(matlab_bytes()[:128] + b"".join(variables))
    assert_refused(read_rdm_a, tmp_path / "a.mat", message)


def read_rdm_a(path):
    with open_rdm_file(path, key="a") as file:
        return file.vector(())


def test_variables_of_a_matlab_file_stand_where_scipy_looks_for_them(tmp_path):
    """Behind one that is no whole number of words: right behind its last byte."""
    short = array_element(6, (1, 1), struct.pack("<IIB", 2, 1, 7), name=b"b")
    whole = element(14, bytes(matlab_bytes(a=SQUARES[0])[128 + 8 :]))
    (tmp_path / "a.mat").write_bytes(matlab_bytes()[:128] + short.rstrip(b"\0") + whole)
    np.testing.assert_array_equal(read_rdm_a(tmp_path / "a.mat"), VECTORS[0])
    (tmp_path / "a.mat").write_bytes(matlab_bytes()[:128] + short + whole)
    assert_refused(read_rdm_a, tmp_path / "a.mat", "an element of type 0")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ((0, -1, 1, 0, 1), r"shape \[-1, 1\]"),  # which scipy reads again and again
        ((0, 1, 1, 0, -1), "-1 letters"),
        ((60, 1, 1, 0, 1), "code 60"),
        ((0, 2**30, 2**30, 1, 1), "variables that claim"),
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_old_matlab_file_that_lies_about_its_variables(tmp_path, order, header, message):
    whole = struct.pack(f"{order}5i", 1000 * (order == ">"), 1, 1, 0, 2) + b"a\0" + bytes(8)
    lying = struct.pack(f"{order}5i", *header) + b"b" + bytes(27)
    (tmp_path / "a.mat").write_bytes(whole + lying)
    assert_refused(read_rdm_a, tmp_path / "a.mat", message)


@pytest.mark.parametrize("read", [read_rdm, read_array, read_stimuli])
@pytest.mark.parametrize(("version", "in_cell"), [("4", False), ("5", False), ("5", True)])
def test_sparse_matlab_array(tmp_path, version, in_cell, read):
    variable = scipy.sparse.csc_array(SQUARES[0])
    scipy.io.savemat(
        tmp_path / "a.mat", {"a": cells([variable]) if in_cell else variable}, format=version
    )
    assert_refused(read, tmp_path / "a.mat", "found a sparse array")


def test_names_that_are_sparse_matlab_arrays(tmp_path):
    names = cells([scipy.sparse.csc_array(SQUARES[0])])
    scipy.io.savemat(tmp_path / "a.mat", {"a": SQUARES[0], "names": names})
    assert_refused(partial(read_rdms, key="a"), tmp_path / "a.mat", "found a sparse array")


def test_matlab_array_without_numbers(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"a": np.zeros((3, 0))})
    assert_refused(read_rdm, tmp_path / "a.mat", r"0 number\(s\) of shape")


def test_compressed_matlab_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr("workflow.lib.arrays.matlab_structure.HARMLESS_BYTES", 10_000)
    packed = zlib.compress(bytes(5_000_000))
    content = matlab_bytes(a=SQUARES[0])[:128] + struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "a.mat").write_bytes(content)
    assert_refused(read_rdm, tmp_path / "a.mat", "bytes that unpack to more than")


# HDF5 that leads to other files.


@pytest.fixture
def secret(tmp_path):
    """A file that nobody means to give."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["rdms"] = SQUARES
    (tmp_path / "secret.bin").write_bytes(SQUARES.tobytes())
    return tmp_path


def external_link(file, folder):
    file["rdms"] = h5py.ExternalLink(folder / "secret.h5", "/rdms")


def nested_external_link(file, folder):
    file["group/inner"] = h5py.ExternalLink(folder / "secret.h5", "/rdms")
    file["rdms"] = h5py.SoftLink("/group/inner")


def external_storage(file, folder):
    file.create_dataset(
        "rdms", SQUARES.shape, "f8", external=[(str(folder / "secret.bin"), 0, SQUARES.nbytes)]
    )


def virtual_dataset(file, folder):
    layout = h5py.VirtualLayout(SQUARES.shape, "f8")
    layout[:] = h5py.VirtualSource(folder / "secret.h5", "rdms", SQUARES.shape)
    file.create_virtual_dataset("rdms", layout)


LEADING_OUT = (external_link, nested_external_link, external_storage, virtual_dataset)


@pytest.mark.parametrize("read", [read_rdm, read_array])
@pytest.mark.parametrize("lead", LEADING_OUT)
def test_hdf5_that_leads_to_another_file(secret, lead, read):
    with h5py.File(secret / "a.h5", "w") as file:
        lead(file, secret)
        np.testing.assert_array_equal(file["rdms"][()], SQUARES)
    assert_refused(read, secret / "a.h5", "found data that lies in another file")


@pytest.mark.parametrize("lead", LEADING_OUT)
def test_bdata_and_images_that_lead_to_another_file(secret, lead):
    write_bdata_file(secret / "a.h5")
    with h5py.File(secret / "a.h5", "r+") as file:
        lead(file, secret)
    assert_refused(read_bdata, secret / "a.h5", "found data that lies in another file")
    with h5py.File(secret / "a.mat", "w", userblock_size=512) as file:
        lead(file, secret)
    assert_refused(read_stimuli, secret / "a.mat", "found data that lies in another file")


# What MATLAB keeps behind references, where nothing is looked at before it is asked for.


def nothing_stored(file, _):
    file.create_dataset("rdms", (2 * 10**9, 2), "u2", chunks=(1000, 2))


def write_cells(path, name, write, n_references=1):
    """Write a cell array whose references lead to what `write` writes as `rdms`."""
    with h5py.File(path, "w", userblock_size=512) as file:
        write(file, path.parent)
        file.create_group("#refs#")
        file.move("rdms", "#refs#/a")
        hidden = file["#refs#/a"]
        hidden.attrs["MATLAB_class"] = np.bytes_("char" if name == "names" else "double")
        file["a"] = SQUARES[0]
        file[name] = np.full((1, n_references), hidden.ref, h5py.ref_dtype)
        file[name].attrs["MATLAB_class"] = np.bytes_("cell")
    return path


def read_names(path):
    with open_rdm_file(path, key="a") as file:
        return file.stored_names("names")


READERS_OF_CELLS = [
    ("rdms", partial(read_rdms, key="rdms")),
    ("names", read_names),
    ("images", partial(read_stimuli, key="images")),
]


@pytest.mark.parametrize(("name", "read"), READERS_OF_CELLS)
@pytest.mark.parametrize("lead", [external_storage, virtual_dataset])
def test_reference_to_what_leads_to_another_file(secret, lead, name, read):
    path = write_cells(secret / "a.mat", name, lead)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file[file[name][0, 0]][()], SQUARES)
    assert_refused(read, path, "found data that lies in another file")


@pytest.mark.parametrize(("name", "read"), READERS_OF_CELLS)
def test_reference_to_what_is_not_stored(tmp_path, name, read):
    path = write_cells(tmp_path / "a.mat", name, nothing_stored)
    assert_refused(read, path, "#refs#: found 0 bytes that claim to hold 8,000,000,000")


@pytest.mark.parametrize(("name", "read"), READERS_OF_CELLS)
def test_many_references_to_the_same(tmp_path, monkeypatch, name, read):
    """As much as is harmless, again and again."""
    monkeypatch.setattr("workflow.lib.bombs.HARMLESS_BYTES", 100_000)

    def zeros(file, _):
        file.create_dataset("rdms", data=np.zeros((100, 100)), compression="gzip")

    path = write_cells(tmp_path / "a.mat", name, zeros, n_references=1000)
    assert_refused(read, path, "#refs#: found [0-9,]+ bytes that claim to hold")


@pytest.mark.parametrize("read", [read_rdm, read_array, read_stimuli])
def test_link_past_the_references(secret, read):
    with h5py.File(secret / "a.mat", "w", userblock_size=512) as file:
        file["#refs#/a"] = h5py.ExternalLink(secret / "secret.h5", "/rdms")
        file["rdms"] = h5py.SoftLink("/#refs#/a")
        np.testing.assert_array_equal(file["rdms"][()], SQUARES)
    assert_refused(read, secret / "a.mat", "found a link to /#refs#/a")


@pytest.mark.parametrize("lead", [external_link, external_storage, virtual_dataset])
def test_key_past_the_references(secret, lead):
    with h5py.File(secret / "a.mat", "w", userblock_size=512) as file:
        lead(file, secret)
        file.create_group("#refs#")
        file.move("rdms", "#refs#/rdms")
        file["a"] = SQUARES[0]
    for key in ("#refs#/rdms", "/#refs#/rdms"):
        for read in (partial(read_rdms, key=key), partial(read_stimuli, key=key)):
            assert_refused(read, secret / "a.mat", "expected")
        with open_rdm_file(secret / "a.mat", key="a") as file, pytest.raises(InputError):
            file.stored_names(key)


@pytest.mark.parametrize("read", [read_rdm, read_stimuli])
@pytest.mark.parametrize("lead", LEADING_OUT)
def test_group_that_is_named_like_that_of_the_references(secret, lead, read):
    with h5py.File(secret / "a.mat", "w", userblock_size=512) as file:
        lead(file, secret)
        file.create_group("rdm/#refs#")
        file.move("rdms", "rdm/#refs#/rdms")
    assert_refused(read, secret / "a.mat", "found data that lies in another file")


def test_hdf5_that_goes_round_in_a_circle_is_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rdms"] = SQUARES
        file["#self"] = file["/"]
        file["#soft"] = h5py.SoftLink("/#soft")
    assert read_rdm(tmp_path / "a.h5")[1] == len(SQUARES[0])


# NIfTI with broken headers.


def nifti_bytes():
    return bytearray(nibabel.Nifti1Image(np.ones((3, 4, 2, 5), np.int16), np.eye(4)).to_bytes())


BROKEN = {
    "axes": (40, struct.pack("<h", 99)),
    "no axes": (40, struct.pack("<h", 0)),
    "negative size": (42, struct.pack("<h", -7)),
    "size of nothing": (42, struct.pack("<h", 0)),
    "absurd size": (42, struct.pack("<hhhh", 32767, 32767, 32767, 32767)),
    "unknown type": (70, struct.pack("<h", 12345)),
    "complex": (70, struct.pack("<hh", 32, 64)),
    "data before the header ends": (108, struct.pack("<f", -1e30)),
    "data behind the end": (108, struct.pack("<f", 1e9)),
    "affine of nothing": (252, struct.pack("<hh", 0, 2) + struct.pack("<24f", *[np.nan] * 24)),
    "magic": (344, b"nope"),
}


@pytest.mark.parametrize("read", [read_volumes, read_maps])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("fault", BROKEN)
def test_broken_nifti(tmp_path, fault, name, read):
    place, value = BROKEN[fault]
    content = nifti_bytes()
    content[place : place + len(value)] = value
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert_refused(read, tmp_path / name, "found")


# Images.


def png_of(width, height):
    """A PNG that claims a size and holds nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    ("width", "height"), [(8_000, 8_000), (50_000, 50_000), (2**31 - 1, 2**31 - 1), (0, 5)]
)
def test_image_of_gigapixels(tmp_path, width, height):
    (tmp_path / "a.png").write_bytes(png_of(width, height))
    assert_refused(lambda path: decoded(path, path.name), tmp_path / "a.png", r"a\.png: found")


@pytest.mark.parametrize("where", ["folder", "zip"])
def test_image_that_is_a_program_is_never_run(tmp_path, monkeypatch, where):
    """PostScript under the name of an image, which Pillow hands to Ghostscript."""
    ran = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args: ran.append(args))
    Image.fromarray(PIXELS[0]).save(tmp_path / "a.png", "EPS")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "a.png")
    path = tmp_path / ("a.png" if where == "folder" else "a.zip")
    assert_refused(read_stimuli, path, r"a\.png: found a file that does not decode as an image")
    assert not ran


def test_limit_of_pillow_is_not_lifted():
    """Some libraries set it to None for the whole process."""
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS >= image_files.MAX_PIXELS
