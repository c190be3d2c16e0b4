"""Images of reconstruction: found, converted, made into shapes, refused."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from scripts.reconstruction.data.image_files import ImageFolder, named_ids, read_images
from scripts.reconstruction.data.image_table import (
    ImageTable,
    read_image_table,
    write_image_table,
)
from scripts.reconstruction.data.prepare_pictures import (
    check_parts,
    prepare_pictures,
    shown_names,
    stimuli_from_arrays,
    stimuli_from_files,
)
from scripts.reconstruction.data.response_files import open_responses
from scripts.reconstruction.data.shape_targets import object_of, shape_targets
from tests.unit.picture_files import BDATA, written
from workflow.lib.errors import InputError


def flat(colour, side=8):
    return Image.new("RGB", (side, side), colour)


# Finding images.


def test_images_are_found_by_name_whatever_their_ending(tmp_path):
    for file in ("n1_1.JPEG", "n1_10.png", "n1_1.5.tif", "._n1_10.jpg", "n1_10.txt"):
        (tmp_path / file).touch()
    folder = ImageFolder(tmp_path, "{name}.*")
    names = ["n1_1", "n1_10", "n1_1.5", "n1_10.JPEG"]
    assert [path.name for path in folder.find_all(names)] == [
        *("n1_1.JPEG", "n1_10.png", "n1_1.5.tif", "n1_10.png")
    ]


@pytest.mark.parametrize("name", ["1518878.005958", "n01518878_5958"])
def test_ids_with_six_decimals_name_synset_and_image(tmp_path, name):
    (tmp_path / "01518878").mkdir()
    (tmp_path / "01518878/n01518878_5958.JPEG").touch()
    found = ImageFolder(tmp_path, "{synset}/n{synset}_{image}.*").find(name)
    assert found == tmp_path / "01518878/n01518878_5958.JPEG"


def test_ids_without_an_image_are_refused_with_the_nearest(tmp_path):
    (tmp_path / "n01_12.png").touch()
    folder = ImageFolder(tmp_path, "{name}.*")
    with pytest.raises(InputError, match=r"no image for 'n01_13' \(1 of 2 ids.*mean 'n01_12'"):
        folder.find_all(["n01_12", "n01_13"])
    (tmp_path / "n01_12.jpg").touch()
    with pytest.raises(InputError, match=r"found n01_12\.jpg and n01_12\.png, expected one file"):
        ImageFolder(tmp_path, "{name}.*").find("n01_12")
    with pytest.raises(InputError, match="found no synset in the name 'circle'"):
        ImageFolder(tmp_path, "{synset}.*").find("circle")


def test_images_of_any_mode_become_rgb(tmp_path):
    modes = {"L": 90, "RGB": (90, 90, 90), "CMYK": (0, 0, 0, 165), "1": 1, "P": 0, "RGBA": (0,) * 4}
    paths = []
    for mode, colour in modes.items():
        ending = "tif" if mode == "CMYK" else "png"
        paths.append(tmp_path / f"{mode}.{ending}")
        Image.new(mode, (12, 8), colour).save(paths[-1])
    found = read_images(paths, side=4, background=90)
    assert found.shape == (6, 4, 4, 3)
    levels = dict(zip(modes, found[:, 0, 0].tolist(), strict=True))
    assert levels["L"] == levels["RGB"] == levels["CMYK"] == [90, 90, 90]
    # White, the first colour of the palette, and what shows through.
    assert levels["1"] == [255, 255, 255]
    assert levels["RGBA"] == [90, 90, 90]


def test_images_are_cropped_to_the_square_in_their_middle(tmp_path):
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 200
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert (read_images([tmp_path / "a.png"], side=4, background=0) == 200).all()


def test_damaged_images_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.png: found a file that does not decode"):
        read_images([tmp_path / "a.png"], side=4, background=0)


# Shapes.


def scene(ground, own, side=32):
    """A square of a level on a ground (side, side) of levels, as a grey picture."""
    image = np.broadcast_to(np.asarray(ground, float), (side, side)).copy()
    image[10:20, 12:22] = own
    return image


@pytest.mark.parametrize("own", [0.0, 0.4, 1.0])
def test_the_ground_is_replaced_by_its_level(own):
    slope = 0.6 + 0.1 * np.arange(32) / 32
    found = object_of(scene(slope, own))
    assert (found == (scene(0, 1) > 0.5)).all()
    image = np.repeat(np.uint8(255 * scene(slope, own))[..., None], 3, 2)[None]
    target = shape_targets(image, matte=True, blur=0)[0]
    np.testing.assert_allclose(target[~found], np.median(slope), atol=0.01)
    np.testing.assert_allclose(target[found], own, atol=0.005)


def test_holes_belong_to_the_object_and_an_even_picture_stays_whole():
    ring = scene(0.7, 0.3)
    ring[13:17, 15:19] = 0.7
    assert (object_of(ring) == (scene(0, 1) > 0.5)).all()
    assert object_of(np.full((32, 32), 0.5)).all()
    speck = np.full((32, 32), 0.5)
    speck[5, 5] = 1
    assert object_of(speck).all()


def test_grey_is_that_of_the_standard_and_blur_that_of_a_gaussian():
    image = np.full((1, 31, 31, 3), 255, np.uint8)
    image[0, 15, 15] = (0, 255, 0)
    sharp = shape_targets(image, matte=False, blur=0)[0]
    assert sharp[15, 15] == pytest.approx(0.587, abs=0.003)
    blurred = 1 - shape_targets(image, matte=False, blur=2.0)[0]
    # Mass and variance of the dark point.
    mass = blurred.sum()
    assert mass == pytest.approx(1 - 0.587, rel=0.01)
    away = np.arange(31) - 15
    assert (blurred.sum(axis=0) @ away**2) / mass == pytest.approx(4.0, rel=0.05)
    assert shape_targets(image, matte=False, blur=0).dtype == np.float32


# The table of images.


def test_copies_share_a_group_and_test_copies_are_refused():
    rng = np.random.default_rng(0)
    pictures = {
        "training": rng.integers(0, 255, (4, 8, 8, 3), dtype=np.uint8),
        "natural": rng.integers(0, 255, (4, 8, 8, 3), dtype=np.uint8),
    }
    pictures["training"][2] = pictures["training"][0]
    pictures["natural"][1] = pictures["training"][1]
    names = {"training": ["a", "b", "c", "d"], "natural": ["e", "f", "g", "h"]}
    table = prepare_pictures(names, pictures, matte=False, blur=0)
    assert table.groups[0] == table.groups[2]
    assert table.groups[1] == table.groups[5]
    assert len(set(table.groups.tolist())) == 6
    told = r"natural: found 1 of 4 images that are copies .* f of b, .* `responses\.leave_out`: f$"
    with pytest.raises(InputError, match=told):
        check_parts(table)
    without = np.array(table.names) != "f"
    check_parts(
        ImageTable(
            [name for name in table.names if name != "f"],
            ["training"] * 4 + ["natural"] * 3,
            table.images[without],
            table.shapes[without],
            table.groups[without],
        )
    )


@pytest.mark.parametrize("part", ["training", "natural"])
def test_parts_without_intervals_are_refused_before_anything_is_trained(part):
    rng = np.random.default_rng(0)
    pictures = {
        name: rng.integers(0, 255, (3, 8, 8, 3), dtype=np.uint8) for name in ("training", "natural")
    }
    names = {name: [f"{name}{k}" for k in range(3)] for name in pictures}
    check_parts(prepare_pictures(names, pictures, matte=False, blur=0))
    # Three images, two of which differ.
    pictures[part][2] = pictures[part][0]
    table = prepare_pictures(names, pictures, matte=False, blur=0)
    with pytest.raises(InputError, match=f"{part}: found 2 different images, expected at least 3"):
        check_parts(table)


@pytest.mark.parametrize("variant", ["fmriprep", "original"])
def test_images_can_be_left_out_by_name(tmp_path, variant):
    trials = [(7, 1), (7, 20), (7, 1), (7, 3)]
    path = written(tmp_path / "a.h5", trials, variant=variant)
    options = BDATA | {"names": {"fmriprep": "stimulus_name", "original": "label"}[variant]}
    name = open_responses(path, "training", options).names()[0]
    options["leave_out"] = [name]
    files = {"training": {"01": path}}
    assert len(shown_names(files, options)["training"]) == 2
    assert name not in shown_names(files, options)["training"]
    read = open_responses(path, "training", options).read({"V1": "ROI_V1 = 1"})
    assert [found is None for found in read.names] == [True, False, True, False]
    options["leave_out"] = [name, name + "0"]
    with pytest.raises(InputError, match=rf"leave_out: found '{name}0' .1 such names.*{name}"):
        shown_names(files, options)


def test_an_image_that_is_training_and_test_is_left_out_of_both(tmp_path):
    files = {
        "training": {"01": written(tmp_path / "a.h5", [(7, 1), (7, 2)])},
        "natural": {"01": written(tmp_path / "b.h5", [(7, 2), (7, 3)])},
    }
    with pytest.raises(InputError, match=r"found 'n00000007_2' .* `responses\.leave_out`"):
        shown_names(files, BDATA)
    assert shown_names(files, BDATA | {"leave_out": ["n00000007_2"]}) == {
        "training": ["n00000007_1"],
        "natural": ["n00000007_3"],
    }


def test_a_table_reads_back(tmp_path):
    rng = np.random.default_rng(0)
    table = ImageTable(
        ["a", "b", "ä"],
        ["training", "training", "natural"],
        rng.integers(0, 255, (3, 4, 4, 3), dtype=np.uint8),
        rng.random((3, 4, 4), dtype=np.float32),
        np.array([0, 1, 0]),
    )
    write_image_table(tmp_path / "images.npz", table)
    again = read_image_table(tmp_path / "images.npz")
    assert (again.names, again.parts, again.tests) == (table.names, table.parts, ["natural"])
    np.testing.assert_array_equal(again.of("training").images, table.images[:2])
    np.testing.assert_array_equal(again.shapes, table.shapes)
    assert again.of("training").positions(["b", "a", "b"]).tolist() == [1, 0, 1]
    with pytest.raises(InputError, match=r"found 'ä' \(1 such names\)"):
        again.of("training").positions(["a", "ä"])


# Which images are shown.


def test_images_of_all_subjects_are_listed_once(tmp_path):
    files = {
        "training": {
            "01": written(tmp_path / "a.h5", [(7, 1), (7, 20), (7, 1)]),
            "02": written(tmp_path / "b.h5", [(7, 20), (7, 1)]),
        },
        "natural": {
            "01": written(tmp_path / "c.h5", [(8, 1)]),
            "02": written(tmp_path / "d.h5", [(8, 1)]),
        },
    }
    assert shown_names(files, BDATA) == {
        "training": ["n00000007_1", "n00000007_20"],
        "natural": ["n00000008_1"],
    }
    files["natural"]["02"] = files["training"]["02"]
    with pytest.raises(InputError, match=r"natural: found 'n00000007_1' .3 such images.*01 and 02"):
        shown_names(files, BDATA)
    files["natural"]["01"] = written(tmp_path / "e.h5", [(7, 20), (7, 1)])
    with pytest.raises(InputError, match=r"tests\.natural: found 'n00000007_1' .2 of 2 images"):
        shown_names(files, BDATA)


@pytest.mark.parametrize("variant", ["fmriprep", "original"])
def test_images_of_both_variants_are_found(tmp_path, variant):
    names = {"fmriprep": "stimulus_name", "original": "label"}[variant]
    file = written(tmp_path / "a.h5", [(7, 1), (7, 20)], variant=variant)
    flat((10, 0, 0)).save(tmp_path / "n00000007_1.png")
    flat((200, 0, 0)).save(tmp_path / "n00000007_20.JPG", quality=100)
    shown = shown_names({"training": {"01": file}}, {"format": "bdata", "names": names})
    found = stimuli_from_files(
        shown, tmp_path, {"training": "n{synset}_{image}.*"}, side=8, background=0
    )["training"]
    assert abs(int(found[0, 0, 0, 0]) - 10) <= 1
    assert abs(int(found[1, 0, 0, 0]) - 200) <= 1


def test_a_table_says_which_image_an_id_stands_for(tmp_path):
    table = tmp_path / "stimulus_ArtificialImage.tsv"
    table.write_text("red_square\tx\t3\nblue_cross\ty\t20\n")
    assert named_ids(table, id_column=2, name_column=0) == {
        "3.000000": "red_square",
        "20.000000": "blue_cross",
    }
    flat((250, 0, 0)).save(tmp_path / "red_square.tiff")
    found = stimuli_from_files(
        {"shapes": ["3.000000"]},
        tmp_path,
        {"shapes": "{name}.*"},
        side=8,
        background=0,
        tables={"shapes": {"file": table.name, "id": 2, "name": 0}},
    )
    assert found["shapes"][0, 0, 0].tolist() == [250, 0, 0]
    with pytest.raises(InputError, match="found 'x' in column 1, expected numbers"):
        named_ids(table, id_column=1, name_column=0)


def test_an_id_with_two_names_is_refused(tmp_path):
    table = tmp_path / "stimulus_LetterImage.tsv"
    table.write_text("A\t1\nB\t2\nA\t1.0\n")
    assert named_ids(table, id_column=1, name_column=0) == {"1.000000": "A", "2.000000": "B"}
    table.write_text("A\t1\nB\t2\nC\t1.0\n")
    with pytest.raises(InputError, match=r"found the id 1\.0 for both 'A' and 'C'"):
        named_ids(table, id_column=1, name_column=0)


# Arrays.

ARRAYS = {"format": "arrays", "key": "R", "images": {"key": "I", "shape": [2, 3]}}


def arrays(path, transposed=False, **changes):
    # Two images of 2 x 3, column by column; the second first.
    one, two = np.array([[0, 0, 1], [1, 0, 1]]), np.array([[1, 1, 0], [0, 0, 0]])
    pixels = np.array([image.ravel(order="F") for image in (two, one, two, two)]).T
    responses = np.arange(20.0).reshape(5, 4)
    stored = {"I": pixels, "R": responses} | changes
    scipy.io.savemat(path, {k: v.T if transposed else v for k, v in stored.items()})
    return path, one, two


@pytest.mark.parametrize("transposed", [False, True])
def test_arrays_give_trials_and_the_images_beside_them(tmp_path, transposed):
    path, one, two = arrays(tmp_path / "a.mat", transposed)
    file = open_responses(path, "training", ARRAYS)
    first, second, *repeats = file.names()
    assert repeats == [first, first]
    assert second != first
    images = file.images()
    assert list(images) == [first, second]
    np.testing.assert_array_equal(images[first], 255 * two)
    np.testing.assert_array_equal(images[second], 255 * one)
    read = file.read({"V1": "all"})
    np.testing.assert_array_equal(read.voxels, np.arange(20.0).reshape(5, 4).T)
    assert read.masks["V1"].tolist() == [True] * 5
    with pytest.raises(InputError, match=r"rois\.V1: found 'ROI_V1 = 1', expected 'all'"):
        file.read({"V1": "ROI_V1 = 1"})


def test_images_of_arrays_become_a_table(tmp_path):
    square = {"I": np.eye(4)[:, [0, 1, 0]], "R": np.ones((2, 3))}
    scipy.io.savemat(tmp_path / "a.mat", square)
    options = ARRAYS | {"images": {"key": "I", "shape": [2, 2]}}
    names = shown_names({"training": {"S1": tmp_path / "a.mat"}}, options)
    pictures = stimuli_from_arrays({"training": tmp_path / "a.mat"}, names, options, side=2)
    table = prepare_pictures(names, pictures, matte=False, blur=0)
    shapes = dict(zip(table.names, table.shapes, strict=True))
    one, two, again = open_responses(tmp_path / "a.mat", "training", options).names()
    assert again == one
    np.testing.assert_array_equal(shapes[one], [[1, 0], [0, 0]])
    # Column by column: the second pixel is below the first.
    np.testing.assert_array_equal(shapes[two], [[0, 0], [1, 0]])


def seen_in_order(path, order, pictures, levels=1):
    """Write a subject whose only voxel says which picture was seen."""
    stored = {"I": (pictures[order] * levels).reshape(len(order), -1), "R": np.array([order]).T}
    np.savez(path, **{key: array.astype(float) for key, array in stored.items()})
    return path


@pytest.mark.parametrize("trials", [False, True])
def test_subjects_who_saw_images_in_other_orders_are_paired_with_what_they_saw(tmp_path, trials):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 4, 5)) / 255
    orders = {"A": [0, 1, 2, 3, 4, 5, 0, 1], "B": [5, 1, 4, 0, 3, 0, 2, 1]}
    files = {
        subject: seen_in_order(tmp_path / f"{subject}.npz", order, pictures.transpose(0, 2, 1), top)
        for (subject, order), top in zip(orders.items(), (1, 255), strict=True)
    }
    options = ARRAYS | {"images": {"key": "I", "shape": [4, 5], "trials": trials}}
    names = shown_names({"training": files}, options)["training"]
    assert len(names) == (8 if trials else 6)
    for file in files.values():
        responses = open_responses(file, "training", options)
        read, images = responses.read({"V1": "all"}), responses.images()
        assert set(read.names) == set(names)
        for (seen,), name in zip(read.voxels.astype(int), read.names, strict=True):
            np.testing.assert_array_equal(images[name], np.rint(255 * pictures[seen]))
    of_both = [open_responses(file, "training", options).images() for file in files.values()]
    for name in names:
        np.testing.assert_array_equal(of_both[0][name], of_both[1][name])


def test_subjects_who_saw_another_image_are_refused(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 2, (4, 4, 4))
    files = {
        subject: seen_in_order(tmp_path / f"{subject}.npz", order, pictures)
        for subject, order in {"A": [0, 1, 2], "B": [0, 1, 3]}.items()
    }
    options = ARRAYS | {"images": {"key": "I", "shape": [4, 4]}}
    with pytest.raises(InputError, match=r"training: found 'image_\w+' \(2 such images\).*A and B"):
        shown_names({"training": files}, options)


def test_trials_can_be_images_of_their_own_and_are_copies(tmp_path):
    square = {"I": np.eye(4)[:, [0, 1, 0, 0]], "R": np.ones((2, 4))}
    scipy.io.savemat(tmp_path / "a.mat", square)
    options = ARRAYS | {"images": {"key": "I", "shape": [2, 2], "trials": True}}
    file = open_responses(tmp_path / "a.mat", "training", options)
    first, second = (file.names()[row].removesuffix("_01") for row in (0, 1))
    assert first != second
    assert file.names() == [f"{first}_01", f"{second}_01", f"{first}_02", f"{first}_03"]
    names = shown_names({"training": {"S1": tmp_path / "a.mat"}}, options)
    pictures = stimuli_from_arrays({"training": tmp_path / "a.mat"}, names, options, side=2)
    table = prepare_pictures(names, pictures, matte=False, blur=0)
    assert table.names == sorted(file.names())
    groups = dict(zip(table.names, table.groups.tolist(), strict=True))
    assert len({groups[f"{first}_0{trial}"] for trial in (1, 2, 3)}) == 1
    assert groups[f"{second}_01"] != groups[f"{first}_01"]
    copies = [table.names.index(f"{first}_0{trial}") for trial in (1, 2, 3)]
    np.testing.assert_array_equal(table.shapes[copies], [[[1, 0], [0, 0]]] * 3)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"I": np.zeros((5, 4))}, r"I: found an array of shape \(5, 4\), expected 6 pixels"),
        ({"I": np.full((6, 4), -1.0)}, "I: found values of -1 to -1"),
        ({"R": np.zeros((5, 3))}, r"R: found an array of shape \(5, 3\), expected voxels x 4"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changed, told):
    path, *_ = arrays(tmp_path / "a.mat", **changed)
    with pytest.raises(InputError, match=told):
        open_responses(path, "training", ARRAYS).read({"V1": "all"})
