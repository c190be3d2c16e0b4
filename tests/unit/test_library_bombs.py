"""A little that unpacks to gigabytes within C libraries, or keeps a reader busy for years.

Files are read in a process of their own, which may take neither much memory nor much time. Memory
that Python itself counts is held by test_hostile_files.py.
"""

import gzip
import multiprocessing
import pickle
import resource
import struct
import zlib
from functools import partial
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from scripts.dissimilarity.data.pickled_mapping import read_mapping
from tests.unit.foreign_files import (
    SQUARES,
    read_array,
    read_rdm,
    read_rdms,
    read_stimuli,
    read_volumes,
)
from workflow.lib.errors import InputError
from workflow.lib.features.stimuli import decoded
from workflow.lib.nifti.maps import read_maps

# What a process that refuses may take beyond what it begins with, and what ends it.
MOST_BYTES, LIMIT_BYTES = 200_000_000, 1_000_000_000
MOST_SECONDS = 30


def _refused(read, path, pipe):
    """Send what a reader says of a file, and the memory that it took."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + LIMIT_BYTES,) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        said = f"no error: {read(path)}"[:1000]
    except InputError as error:
        said = str(error)
    except BaseException as error:
        said = f"another error: {error!r}"
    pipe.send((said, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))


def assert_refused_soon(read, path, message, most_bytes=MOST_BYTES):
    """Check that a file is refused in a sentence, without taking memory or time."""
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_refused, args=(read, path, send))
    process.start()
    try:
        assert receive.poll(MOST_SECONDS), "it takes too long"
        said, n_bytes = receive.recv()
    finally:
        process.kill()
        process.join()
    assert message in said
    assert "\n" not in said
    assert n_bytes < most_bytes


def packed_zeros(n_bytes):
    """Return zeros as zlib packs them, a whole number of millions, without holding them."""
    packer = zlib.compressobj(wbits=-15)
    block = packer.compress(bytes(10**6)) + packer.flush(zlib.Z_FULL_FLUSH)
    sums = struct.pack(">HH", n_bytes % 65521, 1)
    return b"\x78\x9c" + block * (n_bytes // 10**6) + b"\x03\x00" + sums


def test_packed_zeros_are_zeros():
    assert zlib.decompress(packed_zeros(3_000_000)) == bytes(3_000_000)


# HDF5, whose chunks are unpacked whole.


def chunk_beyond_the_dataset(file, name):
    """A chunk of 1.2 GB of which the dataset has 128 bytes."""
    dataset = file.create_dataset(
        name, (4, 4), "f8", chunks=(30_000, 5_000), maxshape=(None, None), compression="gzip"
    )
    dataset.id.write_direct_chunk((0, 0), packed_zeros(1_200_000_000))


def chunk_beyond_its_own_size(file, name):
    """A chunk of 128 bytes that unpacks to 1.2 GB."""
    dataset = file.create_dataset(name, (4, 4), "f8", chunks=(4, 4), compression="gzip")
    dataset.id.write_direct_chunk((0, 0), packed_zeros(1_200_000_000))


def chunk_packed_twice(file, name):
    """A few kilobytes that unpack to 1.2 MB, and these to 1.2 GB."""
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk((4, 4))
    for _ in range(2):
        how.set_deflate(9)
    space = h5py.h5s.create_simple((4, 4))
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F64LE, space, how)
    file[name].id.write_direct_chunk((0, 0), zlib.compress(packed_zeros(1_200_000_000)))


CHUNKS = {
    chunk_beyond_the_dataset: "bytes that claim to hold 1,200,000,000",
    chunk_beyond_its_own_size: "bytes that unpacks to more than the 128 that it should have",
    chunk_packed_twice: "found data that are packed more than once",
}


@pytest.mark.parametrize("read", [read_rdm, read_array])
@pytest.mark.parametrize("write", CHUNKS)
def test_chunk_that_unpacks_to_gigabytes(tmp_path, write, read):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write(file, "rdms")
    assert (tmp_path / "a.h5").stat().st_size < 2_000_000
    assert_refused_soon(read, tmp_path / "a.h5", CHUNKS[write])


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_large_chunk_of_numbers_is_read(tmp_path, compression):
    """Chunks of which more than a megabyte is stored are looked into."""
    values = np.random.default_rng(0).standard_normal((500, 1000))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "a", data=values, chunks=(500, 1000), compression=compression, fletcher32=True
        )
    np.testing.assert_array_equal(read_array(tmp_path / "a.h5"), values)


# HDF5, in which one thing may have many names.


def many_names(path, values, n, link):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["a"] = SQUARES[0]
        file.create_dataset("rdms/0", data=values, chunks=True, compression="gzip")
        for i in range(1, n):
            file[f"rdms/{i}"] = h5py.SoftLink("/rdms/0") if link == "soft" else file["rdms/0"]
        for i in range(n):
            file[f"b{i}"] = h5py.SoftLink("/rdms/0") if link == "soft" else file["rdms/0"]


@pytest.mark.parametrize("link", ["hard", "soft"])
@pytest.mark.parametrize(
    ("values", "n", "read"),
    [
        (np.zeros((1000, 1250)), 60, partial(read_stimuli, key="rdms")),
        (np.zeros(20_000_000, "S1"), 30, partial(read_rdms, key="a")),
    ],
)
def test_dataset_of_many_names(tmp_path, values, n, read, link):
    many_names(tmp_path / "a.mat", values, n, link)
    assert_refused_soon(read, tmp_path / "a.mat", "bytes that claim to hold 1,")


@pytest.mark.parametrize("depth", [2, 40])
def test_groups_that_are_linked_twice_each(tmp_path, depth):
    """Two names for each of 40 groups are 2**40 ways to the last."""
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        group = file.create_group("a")
        for _ in range(depth):
            inner = group.create_group("b")
            group["c"] = inner
            group = inner
        group["d"] = SQUARES
    read = partial(read_stimuli, key="a")
    assert_refused_soon(read, tmp_path / "a.mat", "a.mat: found a struct in two places")


def test_texts_that_are_all_the_same_one(tmp_path):
    """Two megabytes of which each of 3,000 texts is one."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = SQUARES[0]
        texts = np.array([b"x" * 2_000_000] + [b""] * 2_999, dtype=object)
        file.create_dataset("names", data=texts, dtype=h5py.string_dtype())
        place = file["names"].id.get_offset()
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[place : place + 16 * 3_000] = content[place : place + 16] * 3_000
    (tmp_path / "a.h5").write_bytes(content)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["names"][2_999] == b"x" * 2_000_000
    read = partial(read_rdms, key="a")
    assert_refused_soon(read, tmp_path / "a.h5", "names: found 2,1", most_bytes=800_000_000)


@pytest.mark.parametrize("shape", [(7,), (7, 1), (1, 7), (2, 3, 5), (2, 300), (450,)])
def test_texts_are_read_whatever_their_axes(tmp_path, monkeypatch, shape):
    """Also where blocks end in the middle of an axis."""
    monkeypatch.setattr("workflow.lib.arrays.foreign_hdf5.MOST_TIMES", 4)
    monkeypatch.setattr("workflow.lib.arrays.foreign_hdf5.HARMLESS_BYTES", 0)
    names = np.array([f"image{i}" for i in range(np.prod(shape))], dtype=object).reshape(shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = SQUARES[0]
        file.create_dataset("names", data=names, dtype=h5py.string_dtype())
    assert read_rdms(tmp_path / "a.h5", key="a")[-1] == names.ravel().tolist()


# NIfTI, whose extensions are unpacked with the header.


@pytest.mark.parametrize("read", [read_volumes, read_maps])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_extension_of_gigabytes(tmp_path, kind, order, read):
    header = kind.header_class(endianness=order)
    image = kind(np.ones((3, 4, 2, 5), np.int16), np.eye(4), header)
    content = bytearray(image.to_bytes())
    if kind is nibabel.Nifti1Image:
        struct.pack_into(f"{order}f", content, 108, 1.2e9)
    else:
        struct.pack_into(f"{order}q", content, 168, 1_200_000_000)
    start = kind.header_class.sizeof_hdr
    content[start : start + 4] = b"\1\0\0\0"
    content[start + 4 :] = struct.pack(f"{order}ii", 1_190_000_000 // 16 * 16, 6)
    unpacked = gzip.compress(content)
    # A second member of the archive: what it unpacks to follows upon the first.
    raw = packed_zeros(1_200_000_000)[2:-4]
    member = gzip.compress(b"")[:10] + raw + struct.pack("<II", 0, 0)
    (tmp_path / "a.nii.gz").write_bytes(unpacked + member)
    assert_refused_soon(read, tmp_path / "a.nii.gz", "found values that begin at byte 1,2")


# TIFF, whose tiles are unpacked whole.


@pytest.mark.parametrize("place", ["width", "length"])
def test_tiles_of_an_image_that_are_gigabytes(tmp_path, place):
    wide, long = (40_000, 30_000) if place == "width" else (30_000, 40_000)
    tile = packed_zeros(wide * long)
    tags = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1, 322: wide, 323: long, 324: 0, 325: 0}
    tags[325] = len(tile)
    tags[324] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "a.tif").write_bytes(head + tile)
    assert_refused_soon(
        lambda path: decoded(path, path.name), tmp_path / "a.tif", f"found {wide} x {long} pixels"
    )


# Pickles, whose keys are hashed.


def test_key_that_takes_years_to_hash(tmp_path):
    """A tuple that holds twice a tuple that holds twice another, and so on."""
    np.save(tmp_path / "a.npy", np.array({}), allow_pickle=True)
    head = (tmp_path / "a.npy").read_bytes().split(b"\n")[0] + b"\n"
    # Protocol 3, numpy's for long, states no lengths.
    content = head + pickle.dumps(np.array({1: "V1v"}, dtype=object), protocol=3)
    key = b"NN\x86q\x80" + b"".join(b"h%c\x86q%c" % (i, i + 1) for i in range(128, 168))
    assert content.count(b"K\x01X") == 1
    (tmp_path / "a.npy").write_bytes(content.replace(b"K\x01X", key + b"X"))
    assert_refused_soon(read_mapping, tmp_path / "a.npy", "found data that cannot be read")
