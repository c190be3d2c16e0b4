"""Raw files out of zip archives: found, checked, unpacked whole or not at all."""

import hashlib
import io
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scripts.acquire.acquire_file import acquire_registered_files
from scripts.acquire.unpack_file import unpack_registered_file
from tests.unit.test_acquire import running_server
from workflow.lib.acquire import unpack
from workflow.lib.acquire.datasets import (
    Dataset,
    RawFile,
    comes_from_origin,
    download_plan,
    fetched_files,
    load_datasets,
    small_families,
)
from workflow.lib.acquire.kept_files import keep_files
from workflow.lib.acquire.unpack import unpack_member
from workflow.lib.errors import InputError
from workflow.lib.layout import find_source

REGISTRY = """
toy:
  title: Toy
  licence: CC0-1.0
  citation: Nobody 2024
  homepage: https://example.org
  access: open
  how_to_get: Ask nobody.
  files:
    - {{path: Sample.zip, url: '{url}'}}
    - {{path: Train_Data.npz, from: Sample.zip}}
    - {{path: converted/betas.nii.gz, from: Train_Data.npz}}
"""
ARCHIVE, MEMBER = RawFile("Sample.zip", "https://example.org/s.zip"), "Train_Data.npz"
PACKED = RawFile(MEMBER, origin="Sample.zip")
MADE = RawFile("converted/betas.nii.gz", origin=MEMBER)
TOY = Dataset("toy", "", "", "", "", "open", (ARCHIVE, PACKED, MADE), "Ask nobody.")


def npz_bytes():
    file = io.BytesIO()
    np.savez(file, x=np.arange(1000))
    return file.getvalue()


def zip_file(path, members, compression=zipfile.ZIP_DEFLATED):
    """Write an archive, name (or ZipInfo) -> content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"PK")


def assert_nothing_left(destination):
    assert not destination.parent.exists() or list(destination.parent.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["Train_Data.npz", "Sample_Data/Train_data.npz", "a/b/TRAIN_DATA.NPZ"]
)
def test_member_is_found_in_any_folder_and_case(tmp_path, name):
    content = npz_bytes()
    beside = {"vgg16_weights.txt": b"pickle", "old_Train_Data.npz": b"PK", "__MACOSX/._x": b""}
    archive = zip_file(tmp_path / "Sample.zip", {**beside, name: content})
    digest = unpack_member(archive, PACKED, tmp_path / "out" / MEMBER)
    assert digest == hashlib.sha256(content).hexdigest()
    assert [file.name for file in (tmp_path / "out").iterdir()] == [MEMBER]
    assert (tmp_path / "out" / MEMBER).read_bytes() == content


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["other.npz"], r"found 0 files called 'Train_Data\.npz' \(only other\.npz\)"),
        ([], "only an empty archive"),
        (["a/Train_Data.npz", "b/Train_Data.npz"], r"found 2 files .*a/Train_Data\.npz, b/"),
    ],
)
def test_archive_without_the_file_or_with_several_is_refused(tmp_path, names, message):
    archive = zip_file(tmp_path / "Sample.zip", dict.fromkeys(names, npz_bytes()))
    with pytest.raises(InputError, match=message):
        unpack_member(archive, PACKED, tmp_path / "out" / MEMBER)
    assert_nothing_left(tmp_path / "out" / MEMBER)


@pytest.mark.parametrize(
    "name",
    ["../Train_Data.npz", "/tmp/Train_Data.npz", "a/../../Train_Data.npz", "C:/Train_Data.npz"],
)
def test_name_that_leads_out_of_the_archive_is_refused(tmp_path, name):
    archive = zip_file(tmp_path / "Sample.zip", {name: npz_bytes()})
    with pytest.raises(InputError, match="leads out of the archive"):
        unpack_member(archive, PACKED, tmp_path / "out" / MEMBER)
    assert_nothing_left(tmp_path / "out" / MEMBER)


def test_link_is_not_followed(tmp_path):
    link = zipfile.ZipInfo(MEMBER)
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_file(tmp_path / "Sample.zip", {link: "/etc/passwd"})
    with pytest.raises(InputError, match="found a link, expected a file"):
        unpack_member(archive, PACKED, tmp_path / "out" / MEMBER)


def test_encrypted_file_is_refused(tmp_path):
    archive = zip_file(tmp_path / "Sample.zip", {MEMBER: npz_bytes()})
    content = bytearray(archive.read_bytes())
    # The flags of the only file, where it stands and in the list at the end.
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match="found an encrypted file"):
        unpack_member(archive, PACKED, tmp_path / "out" / MEMBER)


def test_file_that_unpacks_to_more_than_it_may_is_refused_before_it_is_written(
    tmp_path, monkeypatch
):
    archive = zip_file(tmp_path / "Sample.zip", {MEMBER: bytes(10_000_000)})
    assert archive.stat().st_size < 20_000
    known = RawFile(MEMBER, origin="Sample.zip", approx_bytes=1_000_000)
    with pytest.raises(
        InputError, match=r"unpacks to 10,000,000 bytes, expected at most 2,000,000"
    ):
        unpack_member(archive, known, tmp_path / "out" / MEMBER)
    monkeypatch.setattr(unpack, "LARGEST_MEMBER_BYTES", 1_000)
    with pytest.raises(InputError, match="expected at most 1,000"):
        unpack_member(archive, PACKED, tmp_path / "out" / MEMBER)
    assert_nothing_left(tmp_path / "out" / MEMBER)


def test_file_larger_than_it_claims_is_refused(tmp_path):
    """An entry that lies about its size, as that of a bomb may."""
    archive = zip_file(tmp_path / "Sample.zip", {MEMBER: b"PK" + bytes(100_000)})
    content = bytearray(archive.read_bytes())
    struct.pack_into("<L", content, content.rindex(b"PK\x01\x02") + 24, 1_000)
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"Sample\.zip: found data that cannot be read"):
        unpack_member(archive, PACKED, tmp_path / "out" / MEMBER)
    assert_nothing_left(tmp_path / "out" / MEMBER)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no archive"])
def test_damaged_archive_is_named(tmp_path, damage):
    content = bytearray(zip_file(tmp_path / "Sample.zip", {MEMBER: npz_bytes()}).read_bytes())
    content[60] ^= 0xFF
    damaged = {"cut": content[:-30], "flipped": content, "no archive": b"PK no archive"}[damage]
    (tmp_path / "Sample.zip").write_bytes(damaged)
    with pytest.raises(InputError, match=r"Sample\.zip: found data that cannot be read"):
        unpack_member(tmp_path / "Sample.zip", PACKED, tmp_path / "out" / MEMBER)
    assert_nothing_left(tmp_path / "out" / MEMBER)


def test_no_damage_to_an_archive_passes_for_the_file(tmp_path):
    """A bit of each byte that says what the archive holds, and where; archives cut anywhere."""
    content = npz_bytes()
    whole = zip_file(tmp_path / "Sample.zip", {f"Sample/{MEMBER}": content}).read_bytes()
    described = [*range(60), *range(len(whole) - 110, len(whole))]
    damaged = [whole[:n] for n in range(0, len(whole), 19)]
    for place in described:
        other = bytearray(whole)
        other[place] ^= 1 << place % 8
        damaged.append(bytes(other))
    refused = 0
    for other in damaged:
        (tmp_path / "Sample.zip").write_bytes(other)
        try:
            unpack_member(tmp_path / "Sample.zip", PACKED, tmp_path / "out")
        except InputError:
            refused += 1
            assert not (tmp_path / "out").exists()
        else:
            assert (tmp_path / "out").read_bytes() == content
            (tmp_path / "out").unlink()
    assert refused > len(damaged) / 2


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sha256": "0" * 64}, "has the sha256"),
        ({"bytes": 100_000}, r"has \d+ bytes, expected 100000"),
        ({"approx_bytes": 100_000}, r"has \d+ bytes, expected about 100000"),
    ],
)
def test_file_is_held_to_what_the_registry_knows_of_it(tmp_path, facts, message):
    archive = zip_file(tmp_path / "Sample.zip", {MEMBER: npz_bytes()})
    with pytest.raises(InputError, match=message):
        unpack_member(archive, RawFile(MEMBER, origin="Sample.zip", **facts), tmp_path / "out/x")
    assert_nothing_left(tmp_path / "out/x")


def test_file_of_another_format_under_the_name_is_refused(tmp_path):
    archive = zip_file(tmp_path / "Sample.zip", {MEMBER: b"\x80\x04pickled"})
    with pytest.raises(InputError, match=r"begins with .*, not as a \.npz file does"):
        unpack_member(archive, PACKED, tmp_path / "out" / MEMBER)


# The registry, and which file comes how.


def test_archive_is_downloaded_and_its_file_unpacked_with_a_checksum(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content = npz_bytes()
    packed = zip_file(tmp_path / "served.zip", {"Sample/train_data.npz": content}).read_bytes()
    resources, datasets_file = tmp_path / "resources", tmp_path / "datasets.yaml"
    with running_server() as server:
        server.replies["/Sample.zip"] = (200, {}, packed)
        datasets_file.write_text(REGISTRY.format(url=f"{server.url}/Sample.zip"))
        acquire_registered_files(
            "toy",
            ["Sample.zip"],
            resources,
            datasets_file=datasets_file,
            mirror=None,
            may_download=True,
        )
    destination = resources / "toy" / MEMBER
    digest = unpack_registered_file(
        "toy", MEMBER, resources / "toy/Sample.zip", destination, datasets_file=datasets_file
    )
    assert destination.read_bytes() == content
    assert digest == hashlib.sha256(content).hexdigest()
    assert (resources / "toy" / f"{MEMBER}.sha256").read_text() == f"{digest}  {MEMBER}\n"


def test_registry_says_what_comes_from_what(tmp_path):
    path = tmp_path / "datasets.yaml"
    path.write_text(REGISTRY.format(url="https://example.org/s.zip"))
    files = load_datasets(path)["toy"].files
    assert [(file.origin, file.is_packed) for file in files] == [
        (None, False),
        ("Sample.zip", True),
        (MEMBER, False),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("from: Sample.zip", "from: Simple.zip", r"comes from 'Simple\.zip'.*did you mean 'Sample"),
        ("from: Sample.zip", "from: converted/betas.nii.gz", "expected another file"),
        ("from: Sample.zip", "from: Sample.zip, url: 'https://example.org/x'", "files.1"),
    ],
)
def test_wrong_origin_is_named(tmp_path, old, new, message):
    path = tmp_path / "datasets.yaml"
    path.write_text(REGISTRY.format(url="https://example.org/s.zip").replace(old, new))
    with pytest.raises(InputError, match=message):
        load_datasets(path)


def test_packed_files_are_no_family_that_is_fetched():
    files = [RawFile(f"{i}.npy", origin="Sample.zip", bytes=9, family="{i}.npy") for i in "12"]
    assert small_families({"toy": Dataset("toy", "", "", "", "", "open", (ARCHIVE, *files))}) == []


@pytest.fixture
def places(tmp_path):
    return tmp_path / "resources", tmp_path / "mirror"


def test_packed_file_comes_from_the_archive_unless_it_is_given_without_it(places):
    resources, mirror = places
    assert comes_from_origin(TOY, PACKED, resources, mirror)
    by_hand = resources / "toy" / MEMBER
    touch(by_hand)
    assert not comes_from_origin(TOY, PACKED, resources, mirror)
    # During a run Snakemake removes it, and its second name stands for it.
    keep_files(resources, [("toy", MEMBER)])
    by_hand.unlink()
    assert not comes_from_origin(TOY, PACKED, resources, mirror)
    touch(resources / "toy" / "Sample.zip")
    assert comes_from_origin(TOY, PACKED, resources, mirror)
    touch(mirror / "toy" / MEMBER.lower())
    assert not comes_from_origin(TOY, PACKED, resources, mirror)
    assert comes_from_origin(TOY, MADE, resources, mirror)
    assert fetched_files({"toy": TOY}, resources, mirror) == [
        ("toy", "Sample.zip"),
        ("toy", MEMBER),
    ]


def test_file_of_the_mirror_in_another_case_gets_the_name_of_the_registry(places, tmp_path):
    resources, mirror = places
    content = npz_bytes()
    (mirror / "toy").mkdir(parents=True)
    (mirror / "toy" / "train_data.npz").write_bytes(content)
    (tmp_path / "datasets.yaml").write_text(REGISTRY.format(url="https://example.org/s.zip"))
    acquire_registered_files(
        "toy",
        [MEMBER],
        resources,
        datasets_file=tmp_path / "datasets.yaml",
        mirror=mirror,
        may_download=False,
    )
    assert (resources / "toy" / MEMBER).read_bytes() == content


def test_plan_counts_the_archive_once_for_all_that_comes_out_of_it(places):
    resources, mirror = places
    mirror.mkdir()
    wanted = [(TOY, raw_file) for raw_file in (PACKED, MADE)]
    plan = download_plan(wanted, resources, mirror)
    assert plan.to_download == ((TOY, ARCHIVE),)
    assert plan.unavailable == ()
    touch(mirror / "toy" / "Sample.zip")
    assert download_plan(wanted, resources, mirror).to_copy == ((TOY, ARCHIVE),)
    touch(resources / "toy" / "Sample.zip")
    assert download_plan(wanted, resources, mirror).in_place == ((TOY, ARCHIVE),)


def test_source_of_a_made_file_is_what_it_is_made_out_of(places, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    mirror = places[1]

    def source(file):
        return find_source(f"resources/toy/{file}", {"toy": TOY}, str(mirror))

    assert source(MADE.path) is None
    touch(mirror / "toy" / MEMBER)
    assert source(MADE.path) == mirror / "toy" / MEMBER
    (mirror / "toy" / MEMBER).unlink()
    touch(mirror / "toy" / "Sample.zip")
    assert source(MADE.path) == source(MEMBER) == mirror / "toy" / "Sample.zip"
    touch(Path("resources/toy/Sample.zip"))
    assert source(MEMBER) == Path("resources/toy/Sample.zip")
    # What the registry does not list lies where it is said to, or in the mirror.
    assert source("other.npz") is None
    touch(mirror / "toy" / "other.npz")
    assert source("other.npz") == mirror / "toy" / "other.npz"
