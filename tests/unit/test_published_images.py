"""Published images: the right pictures under the right names, in parts without a common image."""

import gzip

import numpy as np
import pytest
from PIL import Image

from scripts.digits.data.labelled_images import read_images, write_images
from scripts.digits.data.prepare_images import prepare_images
from tests.unit.digit_files import (
    CATEGORIES,
    DIGITS,
    noise,
    one_hot,
    png,
    published_images,
    write_idx,
    write_zip,
)
from workflow.lib.errors import InputError

SIDE = 8
FEW = {"train": 3, "validation": 2, "stimuli": 1}


def collection(folder, layout, *files, categories=()):
    return {
        "layout": layout,
        "folder": str(folder),
        "files": list(files),
        "categories": dict(categories),
    }


def prepared(*collections, categories, n=FEW, side=SIDE, seed=0, study="toy"):
    return prepare_images(collections, categories, n, side=side, seed=seed, study=study)


def rows(images):
    return {image.tobytes() for image in images}


# MNIST's files.


@pytest.fixture
def idx(tmp_path):
    """Write 40 pictures of ten digits; return them with their labels and a function of files."""
    pictures, labels = noise(40, SIDE, SIDE), np.tile(np.arange(10, dtype=np.uint8), 4)
    write_idx(tmp_path / "images.gz", pictures)
    write_idx(tmp_path / "labels", labels)
    return pictures, labels


def test_idx_images_have_the_category_of_their_label(idx, tmp_path):
    pictures, labels = idx
    of_two = collection(tmp_path, "idx", "images.gz", "labels", categories={"seven": 7, "zero": 0})
    sets = prepared(of_two, categories=["zero", "seven"], n={"train": 2, "validation": 2})
    for category, digit in (("zero", 0), ("seven", 7)):
        published = rows(
            np.repeat(picture[:, :, None], 3, 2) for picture in pictures[labels == digit]
        )
        found = [rows(s.images[s.labels == category]) for s in sets.values()]
        assert found[0] | found[1] == published
        assert not found[0] & found[1]


def test_idx_labels_are_numbers_in_the_order_of_the_categories(idx, tmp_path):
    pictures, labels = idx
    files = collection(tmp_path, "idx", "labels", "images.gz")
    images = prepared(files, categories=DIGITS, n={"train": 4})["train"]
    assert images.labels.tolist() == [digit for digit in DIGITS for _ in range(4)]
    # All four of each, in the order of the file.
    expected = np.concatenate([pictures[labels == digit] for digit in range(10)])
    np.testing.assert_array_equal(images.images[..., 0], expected)


def test_image_in_the_files_twice_is_taken_once(idx, tmp_path, caplog):
    pictures, labels = idx
    pictures = np.concatenate([pictures, pictures])
    write_idx(tmp_path / "images.gz", pictures)
    write_idx(tmp_path / "labels", np.concatenate([labels, labels]))
    files = collection(tmp_path, "idx", "images.gz", "labels")
    sets = prepared(files, categories=DIGITS, n={"train": 2, "validation": 2})
    assert len(rows(sets["train"].images) | rows(sets["validation"].images)) == 40
    assert "left out: it is the same as images.gz, image" in caplog.text
    message = r"images of 'zero': found 1 for stimuli that are in no other part, expected 2"
    with pytest.raises(InputError, match=message):
        prepared(files, categories=DIGITS, n={"train": 3, "stimuli": 2})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n", r"images\.gz: found a file that begins with .*expected idx"),
        (b"", "expected idx"),
        (b"\0\0\x08\x04\0\0\0\x01\0\0\0\x02\0\0\0\x02\0\0\0\x07" + b"0" * 28, "expected idx"),
        (gzip.compress(b"\0\0\x08\x03\0\0\0\x28", mtime=0), "expected idx"),
        (b"\0\0\x08\x03\0\0\0\x28\0", "found data that cannot be read"),
        (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12, mtime=0), "expected idx"),
        (
            gzip.compress(b"\0\0\x08\x03\0\0\0\x28\0\0\0\x08\0\0\0\x08" + b"0" * 99, mtime=0),
            r"found 99 bytes",
        ),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x01" + b"0" * 99, mtime=0), r"found more bytes"),
        (gzip.compress(bytes(1000), mtime=0)[:-6], "found data that cannot be read|expected idx"),
    ],
)
def test_damaged_idx_file_is_named(idx, tmp_path, content, message):
    (tmp_path / "images.gz").write_bytes(content)
    with pytest.raises(InputError, match=message):
        prepared(collection(tmp_path, "idx", "images.gz", "labels"), categories=DIGITS)


def test_idx_file_cut_in_the_middle_is_named(idx, tmp_path):
    whole = (tmp_path / "images.gz").read_bytes()
    (tmp_path / "images.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"images\.gz: found data that cannot be read"):
        prepared(collection(tmp_path, "idx", "images.gz", "labels"), categories=DIGITS)


def test_idx_files_that_do_not_belong_together_are_refused(idx, tmp_path):
    write_idx(tmp_path / "others", np.zeros(39, dtype=np.uint8))
    with pytest.raises(InputError, match=r"found 40 images, expected 39 as others has labels"):
        prepared(collection(tmp_path, "idx", "images.gz", "others"), categories=DIGITS)
    with pytest.raises(InputError, match=r"found 1 files of images and 0 of labels"):
        prepared(collection(tmp_path, "idx", "images.gz"), categories=DIGITS)
    with pytest.raises(InputError, match=r"nowhere: found no such file"):
        prepared(collection(tmp_path, "idx", "nowhere"), categories=DIGITS)


def test_label_that_no_image_has_is_named(idx, tmp_path):
    files = collection(tmp_path, "idx", "images.gz", "labels", categories={"ten": 10, "one": "1"})
    with pytest.raises(InputError, match=r"found no image of 'ten' \(there 10\)"):
        prepared(files, categories=["ten", "one"])
    files["categories"] = {"one": "uno"}
    with pytest.raises(InputError, match=r"found no image of 'one' \(there 'uno'\)"):
        prepared(files, categories=["one"])


# A folder per category.


def pictures_of(category, n=6):
    return noise(n, SIDE, SIDE, 3, seed=len(category) * 7 + ord(category[0]))


def image_files(*categories, above=""):
    return {
        f"{above}{category}/{i:04}.png": png(picture)
        for category in categories
        for i, picture in enumerate(pictures_of(category))
    }


@pytest.mark.parametrize("above", ["", "test/", "a/b/"])
@pytest.mark.parametrize("zipped", [True, False])
def test_images_in_folders_have_the_category_of_their_folder(tmp_path, above, zipped):
    members = image_files("cat", "bobcat", "automobile", above=above)
    if zipped:
        write_zip(tmp_path / "all.zip", {**members, "README.txt": b"", "__MACOSX/cat/._0.png": b""})
        pattern = "all.zip"
    else:
        for name, content in members.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        pattern = f"{above}*/*.png"
    files = collection(tmp_path, "folders", pattern, categories={"cat": "cat", "car": "automobile"})
    images = prepared(files, categories=["car", "cat"], n={"train": 6})["train"]
    np.testing.assert_array_equal(images.images[:6], pictures_of("automobile"))
    np.testing.assert_array_equal(images.images[6:], pictures_of("cat"))
    assert images.labels.tolist() == ["car"] * 6 + ["cat"] * 6


def test_corrupt_image_is_named(tmp_path):
    members = image_files("cat", "dog")
    members["dog/0002.png"] = members["dog/0002.png"][:60]
    write_zip(tmp_path / "all.zip", members)
    files = collection(tmp_path, "folders", "all.zip")
    with pytest.raises(InputError, match=r"all\.zip, dog/0002\.png: found a file that does not"):
        prepared(files, categories=["cat", "dog"])


def test_category_without_a_folder_is_named(tmp_path):
    write_zip(tmp_path / "all.zip", image_files("cat", "dog"))
    files = collection(tmp_path, "folders", "all.zip", categories={"cat": "cat", "car": "auto"})
    with pytest.raises(InputError, match=r"all\.zip: found no image of 'car' \(there 'auto'\)"):
        prepared(files, categories=["cat", "car"])


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        (["cat", "dog", "bird"], "found no collection for the category 'bird', expected one"),
        (["cat"], "found a collection for the category 'dog', expected one for each of cat"),
    ],
)
def test_categories_of_files_and_study_are_the_same(tmp_path, categories, message):
    write_zip(tmp_path / "all.zip", image_files("cat", "dog"))
    files = collection(tmp_path, "folders", "all.zip", categories={"cat": "cat", "dog": "dog"})
    with pytest.raises(InputError, match=message):
        prepared(files, categories=categories)


def test_images_are_cropped_to_their_middle_and_resized(tmp_path):
    wide = np.zeros((30, 90, 3), dtype=np.uint8)
    wide[:, 20:70] = (200, 100, 50)
    write_zip(tmp_path / "all.zip", {"cat/1.png": png(wide), "dog/1.png": png(wide[:, 5:35])})
    files = collection(tmp_path, "folders", "all.zip")
    images = prepared(files, categories=["cat", "dog"], n={"train": 1}, side=10)["train"].images
    assert (images[0] == (200, 100, 50)).all()
    assert (images[1][:, 0] == 0).all()
    assert (images[1][:, -1] == (200, 100, 50)).all()


def test_same_image_under_two_categories_is_taken_once(tmp_path, caplog):
    members = image_files("cat", "dog")
    members["dog/0000.png"] = members["cat/0000.png"]
    write_zip(tmp_path / "all.zip", members)
    files = collection(tmp_path, "folders", "all.zip")
    sets = prepared(files, categories=["cat", "dog"], n={"train": 5})
    assert len(rows(sets["train"].images)) == 10
    with pytest.raises(InputError, match="'dog': found 5 for train"):
        prepared(files, categories=["cat", "dog"], n={"train": 6})
    assert "dog/0000.png left out: it is the same as cat/0000.png" in caplog.text


# Several collections, and what holds of all.


def test_digits_and_objects_come_from_collections_of_their_own(idx, tmp_path):
    write_zip(tmp_path / "all.zip", image_files("cat", "dog", above="test/"))
    digits = collection(tmp_path, "idx", "images.gz", "labels", categories={"two": 2, "six": 6})
    objects = collection(tmp_path, "folders", "all.zip", categories={"cat": "cat", "dog": "dog"})
    order, n = ["dog", "two", "cat", "six"], {"train": 2, "validation": 1, "stimuli": 0}
    sets = prepared(objects, digits, categories=order, n=n)
    assert sets["train"].labels.tolist() == ["dog", "dog", "two", "two", "cat", "cat", "six", "six"]
    assert sets["validation"].labels.tolist() == order
    assert sets["stimuli"].images.shape == (0, SIDE, SIDE, 3)
    grey = (sets["train"].images == sets["train"].images[..., :1]).all(axis=(1, 2, 3))
    assert grey.tolist() == [False, False, True, True] * 2


def test_parts_without_images_can_be_written_and_read(idx, tmp_path):
    files = collection(tmp_path, "idx", "images.gz", "labels")
    empty = prepared(files, categories=DIGITS, n={"train": 1, "stimuli": 0})["stimuli"]
    write_images(tmp_path / "stimuli.npz", empty)
    assert len(read_images(tmp_path / "stimuli.npz")) == 0
    assert empty.codes(DIGITS).shape == (0,)


def test_choice_is_that_of_the_seed_and_no_image_is_in_two_parts(idx, tmp_path):
    files = collection(tmp_path, "idx", "images.gz", "labels")
    n = {"train": 2, "validation": 1, "stimuli": 1}
    first, again = (prepared(files, categories=DIGITS, n=n) for _ in range(2))
    others = [
        prepared(files, categories=DIGITS, n=n, seed=1),
        prepared(files, categories=DIGITS, n=n, study="other"),
    ]
    for part, images in first.items():
        np.testing.assert_array_equal(images.images, again[part].images)
    for other in others:
        assert (first["train"].images != other["train"].images).any()
    assert len(set.union(*(rows(images.images) for images in first.values()))) == 40


# The published sample.


def write_sample(folder, n=4, **changes):
    """Write the sample with small images; `changes` replace variables, or None leaves them out."""
    for file, variables in published_images(n, digits=SIDE, objects=SIDE + 2).items():
        changed = {name: changes.get(name, value) for name, value in variables.items()}
        np.savez(folder / file, **{name: v for name, v in changed.items() if v is not None})
    return collection(folder, "parts", "Train_Data.npz", "Val_Data.npz")


TWO_PARTS = {"train": 4, "validation": 4, "stimuli": 0}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
def test_published_parts_stay_as_they_were_split(tmp_path, dtype):
    published = published_images(4, digits=SIDE, objects=SIDE + 2)
    train, validation = published["Train_Data.npz"], published["Val_Data.npz"]
    files = write_sample(
        tmp_path,
        mnst_tr_X=train["mnst_tr_X"].astype(dtype),
        val_X=validation["val_X"].astype(dtype),
    )
    sets = prepared(files, categories=CATEGORIES, n=TWO_PARTS)
    np.testing.assert_array_equal(sets["validation"].images, validation["val_X"])
    np.testing.assert_array_equal(sets["train"].images[:40], train["mnst_tr_X"])
    resized = [Image.fromarray(x).resize((SIDE, SIDE), Image.BICUBIC) for x in train["imgnet_tr_X"]]
    np.testing.assert_array_equal(sets["train"].images[40:], np.stack(resized))
    for images in (sets["train"], sets["validation"]):
        assert images.labels.tolist() == [name for name in CATEGORIES for _ in range(4)]
    assert len(sets["stimuli"]) == 0


def test_study_may_order_and_name_the_published_categories_otherwise(tmp_path):
    files = write_sample(tmp_path) | {"categories": {"cottage": "house", "two": "two"}}
    images = prepared(files, categories=["cottage", "two"], n=TWO_PARTS)["validation"]
    validation = published_images(4, digits=SIDE, objects=SIDE + 2)["Val_Data.npz"]["val_X"]
    np.testing.assert_array_equal(images.images[:4], validation[14 * 4 : 15 * 4])
    np.testing.assert_array_equal(images.images[4:], validation[2 * 4 : 3 * 4])


def test_labels_may_be_numbers(tmp_path):
    numbers = np.repeat(np.arange(16), 4)
    files = write_sample(tmp_path, val_y=numbers, mnst_tr_y=numbers[:40, np.newaxis])
    images = prepared(files, categories=CATEGORIES, n=TWO_PARTS)["validation"]
    assert images.labels.tolist() == [CATEGORIES[number] for number in numbers]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_y": np.eye(15)[np.zeros(64, int)]}, "found labels of 15 categories, expected 16"),
        ({"val_y": np.full(64, 16)}, "a number below 16 or a row with a single 1"),
        ({"val_y": np.ones((64, 16))}, "a number below 16 or a row with a single 1"),
        ({"val_y": np.zeros(63, int)}, r"labels of shape \(63,\) for 64 images"),
        ({"imgnet_tr_y": np.repeat(np.arange(6), 4)}, "found images of 'five' among those of bed"),
        ({"val_X": noise(64, SIDE * SIDE * 3)}, r"found an array of shape \(64, 192\)"),
        ({"val_X": noise(64, SIDE, SIDE, 3) / 255}, "found values of 0 to 1, expected 0 to 255"),
        ({"val_X": noise(64, SIDE, SIDE, 3) - 123.7}, "found values of -123.7 to 131.3"),
        ({"val_X": np.full((64, SIDE, SIDE, 3), np.nan)}, "found values of nan"),
        ({"val_X": None}, r"Val_Data\.npz: found the variables val_y, expected mnst_tr_X and"),
        ({"val_y": one_hot(np.zeros(64, int))}, "found no image of 'one'"),
    ],
)
def test_sample_of_another_form_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        prepared(write_sample(tmp_path, **changes), categories=CATEGORIES, n=TWO_PARTS)


def test_pickle_is_never_loaded(tmp_path):
    """An object that would write a file if numpy unpickled it."""

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    trap = np.empty(64, dtype=object)
    trap[:] = Trap()
    with pytest.raises(InputError, match=r"Val_Data\.npz, val_X: found .* without unpickling"):
        prepared(write_sample(tmp_path, val_X=trap), categories=CATEGORIES, n=TWO_PARTS)
    assert not (tmp_path / "sprung").exists()


def test_sample_has_no_stimuli_of_participants(tmp_path):
    with pytest.raises(InputError, match=r"'zero': found 0 for stimuli .*lower images\.stimuli"):
        prepared(write_sample(tmp_path), categories=CATEGORIES, n={**TWO_PARTS, "stimuli": 1})


def test_category_that_the_sample_lacks_is_named(tmp_path):
    files = write_sample(tmp_path) | {"categories": {"cat": "cat", "boat": "boat"}}
    with pytest.raises(InputError, match="found the category 'boat', expected some of zero"):
        prepared(files, categories=["cat", "boat"], n=TWO_PARTS)


@pytest.mark.parametrize("content", [b"PK cut", b"not a file of numpy", b""])
def test_damaged_npz_is_named(tmp_path, content):
    files = write_sample(tmp_path)
    (tmp_path / "Val_Data.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"Val_Data\.npz: found data"):
        prepared(files, categories=CATEGORIES, n=TWO_PARTS)
