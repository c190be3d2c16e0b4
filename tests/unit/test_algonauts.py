"""The folder of Algonauts 2023: what is read from it by its layout, and what is refused."""

import logging
import os
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.lib import format as npy
from PIL import Image

from scripts.dissimilarity.data import algonauts
from scripts.dissimilarity.data.algonauts import Algonauts2023, read_mapping
from scripts.dissimilarity.data.count_vertices import COUNTS, count_vertices
from scripts.dissimilarity.data.pair_images import (
    check_excluded,
    excluded_images,
    read_pair_images,
    write_pair_images,
)
from scripts.dissimilarity.data.prepare_pair_images import LAYOUTS, images_of_responses
from workflow.lib.errors import InputError
from workflow.lib.layouts.algonauts2023 import ROI_CLASSES, algonauts_files
from workflow.lib.rdms.store import write_rdms

VISUAL = {0: "Unknown", 1: "V1v", 2: "V1d", 3: "V2v", 4: "V2d", 5: "V3v", 6: "V3d", 7: "hV4"}
PLACES = {0: "Unknown", 1: "OPA", 2: "PPA", 3: "RSC"}
LABELS = {
    ("lh", "prf-visualrois"): [1, 0, 2, 1, 7],
    ("rh", "prf-visualrois"): [0, 2, 2, 0],
    ("lh", "floc-places"): [0, 2, 0, 0, 0],
    ("rh", "floc-places"): [3, 0, 0, 0],
}
N = 6
# Every response tells its hemisphere, row and vertex: 1 is left, 2 right.
LEFT = 1000 + 10 * np.arange(N)[:, None] + np.arange(5)
RIGHT = 2000 + 10 * np.arange(N)[:, None] + np.arange(4)


def write_mapping(path, mapping):
    np.save(path, mapping, allow_pickle=True)


@pytest.fixture
def folder(tmp_path):
    """Write a folder by hand, as the challenge's devkit describes it."""
    subject = tmp_path / "subj01"
    for name in ("training_split/training_fmri", "training_split/training_images", "roi_masks"):
        (subject / name).mkdir(parents=True)
    # Numbered backwards, so that the order of making files is not that of their names.
    for row in reversed(range(N)):
        picture = Image.new("RGB", (20, 20), (40 * row, 0, 0))
        name = f"train-{row + 1:04d}_nsd-{13 * row + 13:05d}.png"
        picture.save(subject / "training_split/training_images" / name)
    # What Snakemake and macOS leave behind.
    (subject / "training_split/training_images/.snakemake_timestamp").touch()
    (subject / "training_split/training_images/._train-0001_nsd-00013.png").touch()
    for hemisphere, values in (("lh", LEFT), ("rh", RIGHT)):
        path = subject / f"training_split/training_fmri/{hemisphere}_training_fmri.npy"
        np.save(path, values.astype(np.float32))
    for (hemisphere, name), labels in LABELS.items():
        path = subject / f"roi_masks/{hemisphere}.{name}_challenge_space.npy"
        np.save(path, np.array(labels))
    write_mapping(subject / "roi_masks/mapping_prf-visualrois.npy", VISUAL)
    write_mapping(subject / "roi_masks/mapping_floc-places.npy", PLACES)
    return tmp_path


def responses_of(folder, hemisphere="lh"):
    return folder / f"subj01/training_split/training_fmri/{hemisphere}_training_fmri.npy"


def mapping_of(folder):
    return folder / "subj01/roi_masks/mapping_prf-visualrois.npy"


def change(path, **changes):
    values = np.load(path)
    for what, value in changes.items():
        rows, columns = {"vertex": (slice(None), value), "image": (value, slice(None))}[what]
        values[rows, columns] = np.nan
    np.save(path, values)


# What is read.


@pytest.mark.parametrize(
    ("parts", "left", "right"),
    [
        (["V1v", "V1d"], [0, 2, 3], [1, 2]),
        (["V1v"], [0, 3], []),
        (["hV4", "PPA"], [1, 4], []),
        (["RSC", "V1d"], [2], [0, 1, 2]),
        ("all", [0, 1, 2, 3, 4], [0, 1, 2, 3]),
    ],
)
@pytest.mark.parametrize("rows_at_a_time", [2, 512])
def test_vertices_of_both_hemispheres(folder, monkeypatch, parts, left, right, rows_at_a_time):
    monkeypatch.setattr(algonauts, "ROWS", rows_at_a_time)
    subject = Algonauts2023(folder, "subj01")
    rows = np.array([4, 0, 1, 5, 2])
    found = subject.responses(parts, rows)
    assert found.dtype == np.float32
    expected = np.hstack([LEFT[rows][:, left], RIGHT[rows][:, right]])
    np.testing.assert_array_equal(found, expected)
    assert subject.n_vertices(parts, rows) == len(left) + len(right)


def test_rows_are_in_the_order_of_the_images(folder):
    subject = Algonauts2023(folder, "subj01")
    assert subject.image_names == [f"train-{i:04d}_nsd-{13 * i:05d}" for i in range(1, N + 1)]
    for row in range(N):
        assert Image.open(subject.image_path(row)).getpixel((0, 0)) == (40 * row, 0, 0)


def test_rois_are_those_that_have_vertices(folder):
    assert Algonauts2023(folder, "subj01").rois == ["V1v", "V1d", "hV4", "PPA", "RSC"]


def test_vertices_without_a_value_for_every_image_are_left_out_and_counted(folder, caplog):
    change(responses_of(folder), vertex=2)
    responses = np.load(responses_of(folder, "rh"))
    responses[3, 1] = np.inf
    np.save(responses_of(folder, "rh"), responses)
    subject = Algonauts2023(folder, "subj01")
    rows = np.array([3, 1, 0])
    with caplog.at_level(logging.WARNING):
        found = subject.responses(["V1v", "V1d"], rows)
    np.testing.assert_array_equal(found, np.hstack([LEFT[rows][:, [0, 3]], RIGHT[rows][:, [2]]]))
    assert "subj01, V1v and V1d: 2 of 5 vertices left out" in caplog.text
    assert subject.n_vertices("all", rows) == 7
    left, right = subject.vertices(["V1v", "V1d"], rows).values()
    assert left.labelled.tolist() == [0, 2, 3]
    assert left.complete.tolist() == [0, 3]
    assert right.complete.tolist() == [2]
    # An image that is not taken, as one that is excluded, takes no vertex with it.
    assert subject.n_vertices("all", np.array([0, 1, 2])) == 8


def test_vertices_are_counted_by_what_is_wrong_with_them(folder):
    left, right = LEFT.astype(np.float32), RIGHT.astype(np.float32)
    left[:, 0] = np.nan  # V1v
    left[5, 2] = np.inf  # V1d
    right[:, 1] = 2.5  # V1d
    right[2:, 2] = 2.5  # V1d, flat but for the first images
    np.save(responses_of(folder), left)
    np.save(responses_of(folder, "rh"), right)
    subject = Algonauts2023(folder, "subj01")
    rois = {"V1": ["V1v", "V1d"], "all": "all", "V2": ["V2v"]}
    counted = count_vertices(subject, np.arange(N), rois).set_index(["roi", "hemisphere"])
    assert {key: tuple(row) for key, row in counted[list(COUNTS)].iterrows()} == {
        ("V1", "lh"): (3, 2, 0, 1),
        ("V1", "rh"): (2, 0, 1, 1),
        ("all", "lh"): (5, 2, 0, 3),
        ("all", "rh"): (4, 0, 1, 3),
        # Of an ROI that this subject has not.
        ("V2", "lh"): (0, 0, 0, 0),
        ("V2", "rh"): (0, 0, 0, 0),
    }
    some = count_vertices(subject, np.array([4, 3, 2]), {"V1": ["V1v", "V1d"]})
    assert (some["n_images"] == 3).all()
    assert some[list(COUNTS)].to_numpy().tolist() == [[3, 1, 0, 2], [2, 0, 2, 0]]


def test_files_that_are_needed_are_those_of_the_published_layout(folder):
    found = algonauts_files(str(folder), "subj01", ["V1v", "V1d", "PPA"])
    start = f"{folder}/subj01"
    assert sorted(found) == sorted(
        [
            f"{start}/training_split/training_fmri/lh_training_fmri.npy",
            f"{start}/training_split/training_fmri/rh_training_fmri.npy",
            f"{start}/roi_masks/mapping_prf-visualrois.npy",
            f"{start}/roi_masks/lh.prf-visualrois_challenge_space.npy",
            f"{start}/roi_masks/rh.prf-visualrois_challenge_space.npy",
            f"{start}/roi_masks/mapping_floc-places.npy",
            f"{start}/roi_masks/lh.floc-places_challenge_space.npy",
            f"{start}/roi_masks/rh.floc-places_challenge_space.npy",
        ]
    )
    assert all(Path(file).is_file() for file in found)
    assert len(algonauts_files(str(folder), "subj01", "all")) == 2


# What is refused.


def remove_hemisphere(folder):
    responses_of(folder, "rh").unlink()


def remove_image(folder):
    next((folder / "subj01/training_split/training_images").glob("train*")).unlink()


def remove_images(folder):
    shutil.rmtree(folder / "subj01/training_split/training_images")


def remove_values(folder):
    change(responses_of(folder), vertex=[0, 2, 3])
    change(responses_of(folder, "rh"), vertex=[1, 2])


def remove_values_of_an_image(folder):
    change(responses_of(folder), image=2)
    change(responses_of(folder, "rh"), image=2)


def remove_most_values_of_an_image(folder):
    """One that both hemispheres have, in a hemisphere with a vertex that is always NaN."""
    change(responses_of(folder, "rh"), vertex=0)
    values = np.load(responses_of(folder, "rh"))
    values[1, [1, 2]] = np.nan
    np.save(responses_of(folder, "rh"), values)


def remove_a_hemisphere(folder):
    change(responses_of(folder), vertex=slice(None))


def pickle_responses(folder):
    np.save(responses_of(folder), np.array([{}] * N, dtype=object), allow_pickle=True)


def cut_responses(folder):
    os.truncate(responses_of(folder), 150)


def label_a_surface(folder):
    path = folder / "subj01/roi_masks/lh.prf-visualrois_challenge_space.npy"
    np.save(path, np.zeros(163_842, np.int8))


def remove_mapping(folder):
    mapping_of(folder).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove_hemisphere, "rh_training_fmri.npy: found no such file, expected both hemispheres"),
        (remove_image, r"found an array of shape \(6, 5\).*each of the 5 images"),
        (remove_images, "training_images: found no image, expected files such as train-0001"),
        (remove_values, "V1v and V1d: found NaN or infinite values in each of 5 vertices, "),
        (
            remove_values_of_an_image,
            r"train-0003_nsd-00039 in most of 5 vertices \(1 of 6.*exclude",
        ),
        (
            remove_most_values_of_an_image,
            r"rh_training.*no numbers for train-0002_nsd-00026 in mos",
        ),
        (remove_a_hemisphere, r"no numbers for train-0001_nsd-00013 in .* \(6 of 6 images are so"),
        (pickle_responses, "cannot read without unpickling"),
        (cut_responses, "found data that cannot be read"),
        (label_a_surface, r"found labels of shape \(163842,\), expected one for each of the 5"),
        (remove_mapping, "mapping_prf-visualrois.npy: found no such file"),
    ],
)
def test_bad_folders_are_refused_in_one_sentence(folder, spoil, message):
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        Algonauts2023(folder, "subj01").responses(["V1v", "V1d"], np.arange(N))
    assert "\n" not in str(caught.value)


def test_image_without_responses_can_be_left_out(folder):
    remove_values_of_an_image(folder)
    subject = Algonauts2023(folder, "subj01")
    rows = subject.rows_without(["train-0003_nsd-00039"])
    np.testing.assert_array_equal(subject.responses("all", rows), np.hstack([LEFT, RIGHT])[rows])


def test_image_without_responses_in_one_roi_halves_it_in_silence_no_more(tmp_path, folder):
    n_vertices = 40
    values = np.ones((N, n_vertices), np.float32)
    values[4, 28:] = np.nan
    np.save(responses_of(folder), values)
    labels = [0] * 28 + [7] * 12
    np.save(folder / "subj01/roi_masks/lh.prf-visualrois_challenge_space.npy", labels)
    subject = Algonauts2023(folder, "subj01")
    with pytest.raises(InputError, match=r"train-0005_nsd-00065 in most of 12 vertices \(1 of 6"):
        subject.responses(["hV4", "V1d"], np.arange(N))
    # Of a hemisphere it is less than half.
    assert subject.n_vertices("all", np.arange(N)) == 28 + 4


def test_roi_without_vertices(folder):
    message = "subj01, V2v and OPA: found no vertex.*are V1v, V1d, hV4, PPA, RSC.*rois_missing: sk"
    with pytest.raises(InputError, match=message):
        Algonauts2023(folder, "subj01").responses(["V2v", "OPA"], np.arange(2))


def test_unknown_roi_with_names_near_it():
    with pytest.raises(InputError, match=r"rois: found 'FFA1', expected.*FFA-1"):
        algonauts_files("x", "subj01", ["FFA1"])


def test_folder_without_truth(folder):
    with pytest.raises(
        InputError, match=r"subj01_noiseless_lh.npy: found no such file, expected a simulated"
    ):
        Algonauts2023(folder, "subj01").noiseless("all", np.arange(2))


# Mappings.


def published(mapping, path, module):
    """Write a mapping as a version of numpy did, which named the module of its own as it was."""
    content = pickle.dumps(np.array(mapping, dtype=object), protocol=3)
    current = b"numpy._core.multiarray"
    assert current in content
    with open(path, "wb") as file:
        npy.write_array_header_1_0(
            file, {"shape": (), "fortran_order": False, "descr": npy.dtype_to_descr(np.dtype("O"))}
        )
        # Protocol 3, numpy's for long, names modules in lines of text, without their length.
        file.write(content.replace(b"c" + current, b"c" + module))


def test_mapping_that_numpy_saved(tmp_path):
    np.save(tmp_path / "mapping.npy", VISUAL)
    assert read_mapping(tmp_path / "mapping.npy") == VISUAL
    assert np.load(tmp_path / "mapping.npy", allow_pickle=True).item() == VISUAL


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_mapping_that_any_numpy_saved(tmp_path, module):
    published(PLACES, tmp_path / "mapping.npy", module)
    assert module in (tmp_path / "mapping.npy").read_bytes()
    assert read_mapping(tmp_path / "mapping.npy") == PLACES


class Attack:
    """An object whose unpickling calls a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_malicious_mapping_runs_nothing(tmp_path):
    path, proof = tmp_path / "mapping.npy", tmp_path / "proof"
    write_mapping(path, {0: "Unknown", 1: Attack(os.mkdir, str(proof))})
    with pytest.raises(InputError, match=r"mapping.npy: found a pickle that names posix.mkdir"):
        read_mapping(path)
    assert not proof.exists()
    # Read as tutorials read it, the same file does harm.
    np.load(path, allow_pickle=True)
    assert proof.exists()


@pytest.mark.parametrize(
    ("function", "args", "name"),
    [
        (eval, ("1 + 1",), "builtins.eval"),
        (getattr, (1, "real"), "builtins.getattr"),
        (np.load, ("elsewhere.npy", None, True), "numpy.load"),
        (np.frombuffer, (b"12345678",), "numpy.frombuffer"),
        (pickle.loads, (b"N.",), "_pickle.loads"),
    ],
)
def test_nothing_else_may_be_named(tmp_path, function, args, name):
    write_mapping(tmp_path / "mapping.npy", {1: Attack(function, *args)})
    with pytest.raises(InputError, match=f"names {name}, which can run code"):
        read_mapping(tmp_path / "mapping.npy")


def test_what_may_be_named_is_not_run_either(tmp_path):
    """Given arguments of an attacker's choice, numpy's own functions are not to be trusted."""
    write_mapping(tmp_path / "mapping.npy", {1: Attack(np.dtype, "no type at all")})
    with pytest.raises(InputError, match="other than a dictionary of numbers and names"):
        read_mapping(tmp_path / "mapping.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, "V1v"], "found data that cannot be read"),
        (np.array("V1v"), "found data that cannot be read"),
        ({"V1v": 1}, "expected one"),
        ({1: ["V1v"]}, "expected one"),
        ({1: "V" * 200_000}, "found more than 100,000 bytes"),
    ],
)
def test_other_contents(tmp_path, content, message):
    write_mapping(tmp_path / "mapping.npy", content)
    with pytest.raises(InputError, match=message):
        read_mapping(tmp_path / "mapping.npy")


def test_mapping_that_asks_for_more_memory_than_it_can_need(tmp_path):
    """Nine bytes let the unpickler make a list of as many places as they say, 256 MB here."""
    published(PLACES, tmp_path / "mapping.npy", b"numpy.core.multiarray")
    content = (tmp_path / "mapping.npy").read_bytes()
    put = b"N" + pickle.LONG_BINPUT + (2**24).to_bytes(4, "little") + pickle.POP
    (tmp_path / "mapping.npy").write_bytes(content.replace(b"\x80\x03", b"\x80\x03" + put, 1))
    assert np.load(tmp_path / "mapping.npy", allow_pickle=True).item() == PLACES
    with pytest.raises(InputError, match="found data that cannot be read"):
        read_mapping(tmp_path / "mapping.npy")


def test_damaged_mapping(tmp_path):
    np.save(tmp_path / "mapping.npy", VISUAL)
    whole = (tmp_path / "mapping.npy").read_bytes()
    for n in (0, 5, 90, 130, len(whole) - 3):
        (tmp_path / "mapping.npy").write_bytes(whole[:n])
        with pytest.raises(InputError, match="found data that cannot be read"):
            read_mapping(tmp_path / "mapping.npy")


def test_a_class_for_every_published_roi():
    names = [name for of_class in ROI_CLASSES.values() for name in of_class]
    assert len(names) == len(set(names)) == 7 + 4 + 5 + 3 + 5 + 7


# Images.


def test_images_in_the_order_of_the_responses(folder, tmp_path):
    found = images_of_responses(Algonauts2023(folder, "subj01"), n_images=4, side=8, n_threads=3)
    write_pair_images(tmp_path / "images.npz", found)
    images = read_pair_images(tmp_path / "images.npz")
    assert images.names == [f"train-{i:04d}_nsd-{13 * i:05d}" for i in range(1, 5)]
    assert images.rows.tolist() == [0, 1, 2, 3]
    expected = np.zeros((4, 8, 8, 3))
    expected[..., 0] = 40 * np.arange(4)[:, None, None]
    np.testing.assert_array_equal(images.images, expected)
    assert images.images.dtype == np.uint8


def test_all_images(folder):
    job = SimpleNamespace(
        params=SimpleNamespace(
            folder=str(folder), n_images=None, side=8, subjects=["subj01"], exclude=[]
        ),
        wildcards=SimpleNamespace(subject="subj01"),
        threads=2,
    )
    assert len(LAYOUTS["algonauts2023"](job)) == N


def second_subject(folder):
    """Add a subject of whose images one has a name of its own."""
    shutil.copytree(folder / "subj01", folder / "subj02")
    images = folder / "subj02/training_split/training_images"
    (images / "train-0006_nsd-00078.png").rename(images / "train-0006_nsd-00999.png")


def excluding(folder, subject, exclude, n_images=None):
    params = {"folder": str(folder), "n_images": n_images, "side": 8, "exclude": exclude}
    job = SimpleNamespace(
        params=SimpleNamespace(**params, subjects=["subj01", "subj02"]),
        wildcards=SimpleNamespace(subject=subject),
        threads=1,
    )
    return LAYOUTS["algonauts2023"](job)


@pytest.mark.parametrize("in_file", [False, True])
def test_excluded_images_leave_names_pixels_and_responses_aligned(folder, tmp_path, in_file):
    second_subject(folder)
    exclude = ["train-0002_nsd-00026", "train-0006_nsd-00999"]
    if in_file:
        (tmp_path / "excluded.txt").write_text("\n".join([*exclude, "", ""]))
        exclude = str(tmp_path / "excluded.txt")
    left = {"subj01": [0, 2, 3, 4, 5], "subj02": [0, 2, 3, 4]}
    for subject, rows in left.items():
        images = excluding(folder, subject, exclude)
        assert images.rows.tolist() == rows
        # Of the first subject's names alone, the number of the image tells its row.
        assert [int(name[6:10]) - 1 for name in images.names] == rows
        assert (images.images[:, 0, 0, 0] // 40).tolist() == rows
        responses = Algonauts2023(folder, subject).responses("all", images.rows)
        np.testing.assert_array_equal(responses[:, :5], LEFT[rows])


def test_images_are_counted_after_exclusion(folder):
    second_subject(folder)
    exclude = ["train-0001_nsd-00013", "train-0003_nsd-00039"]
    assert excluding(folder, "subj01", exclude, n_images=3).rows.tolist() == [1, 3, 4]
    with pytest.raises(InputError, match="found 4 images with responses, expected 5"):
        excluding(folder, "subj01", exclude, n_images=5)


def test_unknown_image_to_exclude_has_the_nearest_name(folder):
    second_subject(folder)
    exclude = ["train-0002_nsd-00026", "train-0004_nsd-00152", "train-0001_nsd-00013.png"]
    with pytest.raises(
        InputError, match=r"'train-0004_nsd-00152' \(2 of 3 names.*mean 'train-0004_nsd-00052'"
    ):
        excluding(folder, "subj01", exclude)
    with pytest.raises(InputError, match="mean 'train-0001_nsd-00013'"):
        check_excluded(["train-0001_nsd-00013.png"], {"train-0001_nsd-00013", "train-0002_nsd-7"})


def test_file_of_images_to_exclude_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none.txt', which cannot be read \(FileNotFoundError\)"):
        excluded_images(str(tmp_path / "none.txt"))


def test_fewer_images_than_asked_for(folder):
    with pytest.raises(InputError, match="found 6 images with responses, expected 7; lower"):
        images_of_responses(Algonauts2023(folder, "subj01"), n_images=7, side=8)


def test_damaged_image(folder):
    subject = Algonauts2023(folder, "subj01")
    os.truncate(subject.image_path(2), 60)
    with pytest.raises(InputError, match=r"train-0003_nsd-00039.png: found a file that does not"):
        images_of_responses(subject, n_images=None, side=8)


def test_images_under_the_names_of_rdms(tmp_path):
    """As a job reads them, which knows the files of both."""
    for grey, name in enumerate(("Cat.png", "dog.png", "Fish.png")):
        Image.new("RGB", (30, 20), (10 * grey,) * 3).save(tmp_path / name)
    names = ["fish", "cat", "dog"]
    rdms = [({"roi": "V1"}, np.array([0.1, 0.2, 0.3]))]
    write_rdms(tmp_path / "rdms.h5", rdms, names=names, measure="correlation")
    params = {"folder": str(tmp_path), "stimuli": {"files": "*.png"}, "match": "normalised"}
    job = SimpleNamespace(
        params=SimpleNamespace(**params, side=4),
        input=SimpleNamespace(rdms=str(tmp_path / "rdms.h5")),
    )
    images = LAYOUTS["rsa"](job)
    assert images.names == names
    assert images.rows.tolist() == [0, 1, 2]
    assert images.images[:, 0, 0, 0].tolist() == [20, 0, 10]
    assert images.images.shape == (3, 4, 4, 3)
