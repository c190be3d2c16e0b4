"""Stimuli read back pixel by pixel from every form, and refused with a sentence that helps."""

import re
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from workflow.lib.config.schema import load_schema
from workflow.lib.errors import InputError
from workflow.lib.features import image_files
from workflow.lib.features import stimuli as stimuli_module
from workflow.lib.features.stimuli import OPENERS, SUFFIXES, open_stimuli
from workflow.lib.rdms.alignment import IMAGE_SUFFIXES, normalised_name

N, SIDE = 3, 5
ORDER = {"from": "order", "pattern": "image_{:04d}"}
NAMES = ["image_0001", "image_0002", "image_0003"]


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE + 1, 3), dtype=np.uint8)


def pixels(stimuli):
    return np.stack([np.asarray(stimuli.image(i)) for i in range(len(stimuli))])


def write_png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def opened(folder, files, conditions=ORDER, **keys):
    return open_stimuli(folder, {"files": files, "conditions": conditions, **keys})


def test_the_config_describes_the_files_that_are_opened():
    """Each kind of file but single images is opened by a function of its own."""
    described = load_schema()["$defs"]["stimuli"]["properties"]
    text = described["files"]["description"] + described["key"]["description"]
    assert set(re.findall(r"\.\w+|HDF5", text)) - SUFFIXES == set(OPENERS)
    assert "{" not in text, "placeholders, which nothing fills in"
    assert "RDM" not in described["field"]["description"]


def test_images_are_the_field_named_image_or_the_one_given(tmp_path, images):
    variable = structs(image=list(images), sketch=list(255 - images))
    scipy.io.savemat(tmp_path / "a.mat", {"stimuli": variable})
    np.testing.assert_array_equal(pixels(opened(tmp_path, "a.mat")), images)
    np.testing.assert_array_equal(pixels(opened(tmp_path, "a.mat", field="sketch")), 255 - images)


# Image files.


def test_image_files_in_the_order_of_their_names(tmp_path, images):
    for name, image in zip("bca", images, strict=True):
        write_png(tmp_path / "photos" / f"{name}.PNG", image)
    write_png(tmp_path / "photos" / "._a.PNG", images[0])
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    stimuli = open_stimuli(tmp_path, {"files": "photos/*"})
    assert stimuli.names == ["a.PNG", "b.PNG", "c.PNG"]
    assert stimuli.image(0).mode == "RGB"
    np.testing.assert_array_equal(pixels(stimuli), images[[2, 0, 1]])
    chosen = stimuli.select([2, 0])
    assert chosen.names == ["c.PNG", "a.PNG"]
    np.testing.assert_array_equal(pixels(chosen), images[[1, 2]])
    np.testing.assert_array_equal(pixels(chosen.select([1])), images[[2]])


def test_names_in_folders(tmp_path, images):
    for folder, image in zip("abc", images, strict=True):
        write_png(tmp_path / folder / "same.png", image)
    assert opened(tmp_path, "*/*.png", {"from": "stored"}).names[0] == "a/same.png"
    (tmp_path / "a" / "same.png").rename(tmp_path / "a" / "x.png")
    (tmp_path / "b" / "same.png").rename(tmp_path / "b" / "y.png")
    found = opened(tmp_path, "**/*.png", {"from": "stored"})
    assert found.names == ["x.png", "y.png", "same.png"]


def test_names_by_order_and_from_a_list(tmp_path, images):
    for i, image in enumerate(images):
        write_png(tmp_path / f"{i}.png", image)
    assert opened(tmp_path, "*.png").names == NAMES
    (tmp_path / "names.txt").write_text("dog\ncat\nhat\n")
    listed = {"from": "list", "file": "names.txt"}
    assert opened(tmp_path, "*.png", listed).names == ["dog", "cat", "hat"]
    (tmp_path / "names.csv").write_text("what,n\ndog,1\ncat,2\n")
    with pytest.raises(InputError, match=r"found 3 images and 2 names"):
        opened(tmp_path, "*.png", {"from": "list", "file": "names.csv", "column": "what"})


def test_names_by_order_need_one_order(tmp_path, images):
    for i, image in zip((1, 2, 10), images, strict=True):
        write_png(tmp_path / f"image_{i}.png", image)
    with pytest.raises(InputError, match=r"'image_10.png' or 'image_2.png' as number 2.*zeros"):
        opened(tmp_path, "*.png")
    stored = opened(tmp_path, "*.png", {"from": "stored"})
    assert stored.names == ["image_1.png", "image_10.png", "image_2.png"]


@pytest.mark.parametrize("files", ["*.jpg", "missing/*", "photos"])
def test_no_image_file(tmp_path, images, files):
    write_png(tmp_path / "photos" / "a.png", images[0])
    with pytest.raises(InputError, match=rf"{re.escape(files)}: found no image file.*pattern"):
        opened(tmp_path, files)
    with pytest.raises(InputError, match=r"found an absolute path"):
        opened(tmp_path, f"{tmp_path}/photos/*.png")


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_kind_of_image_whose_name_is_matched_without_its_suffix_is_read(tmp_path, suffix):
    """A .gif beside .png files would else be left out without a word."""
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    Image.new("L", (4, 4), 255).save(tmp_path / f"b.{suffix}")
    found = opened(tmp_path, "*", {"from": "stored"})
    assert list(map(normalised_name, found.names)) == ["a", "b"]
    assert np.asarray(found.image(1)).min() > 250
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in found.names:
            archive.write(tmp_path / name, name)
    assert opened(tmp_path, "all.zip", {"from": "stored"}).names == found.names


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA"])
def test_modes_become_rgb(tmp_path, images, mode):
    image = Image.fromarray(images[0]).convert(mode)
    image.save(tmp_path / "a.tif")
    found = opened(tmp_path, "*.tif", {"from": "stored"}).image(0)
    np.testing.assert_array_equal(found, image.convert("RGB"))


def test_sixteen_bits_are_scaled(tmp_path, images):
    Image.fromarray(images[0, :, :, 0].astype(np.uint16) * 257).save(tmp_path / "a.png")
    found = np.asarray(opened(tmp_path, "*.png", {"from": "stored"}).image(0))
    np.testing.assert_array_equal(found, np.repeat(images[0, :, :, :1], 3, axis=2))


def png_of_size(width, height):
    """Return a small PNG that claims to be of some size."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_images_that_cannot_be_used(tmp_path, images, monkeypatch):
    def refuses(message, name):
        stimuli = opened(tmp_path, name, {"from": "stored"})
        with pytest.raises(InputError, match=rf"{re.escape(name)}: {message}"):
            stimuli.image(0)

    (tmp_path / "text.jpg").write_text("no image")
    refuses("found a file that does not decode", "text.jpg")
    write_png(tmp_path / "whole.png", np.zeros((300, 300, 3), np.uint8) + images[0, 0, 0])
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    refuses("found a file that does not decode", "cut.png")
    (tmp_path / "large.png").write_bytes(png_of_size(8000, 8000))
    refuses("found 8000 x 8000 pixels, expected at most 50,000,000", "large.png")
    (tmp_path / "bomb.png").write_bytes(png_of_size(100_000, 100_000))
    refuses("found more than .* pixels", "bomb.png")
    Image.fromarray(images[0]).convert("RGBA").save(tmp_path / "solid.png")
    assert opened(tmp_path, "solid.png", {"from": "stored"}).image(0).mode == "RGB"
    image = Image.fromarray(images[0])
    image.putalpha(100)
    image.save(tmp_path / "glass.png")
    refuses("found transparent pixels.*background", "glass.png")
    Image.fromarray(images[0, :, :, 0].astype(np.float32)).save(tmp_path / "float.tif")
    refuses("found pixels of type F", "float.tif")
    monkeypatch.setattr(image_files, "MAX_FILE_BYTES", 10)
    refuses("found more than 10 bytes", "whole.png")


# A zip.


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_zip_is_read_in_place(tmp_path, images):
    for name, image in zip("bca", images, strict=True):
        write_png(tmp_path / f"{name}.png", image)
    data = {name: (tmp_path / f"{name}.png").read_bytes() for name in "abc"}
    members = {f"{i}/{name}.png": data[name] for i, name in enumerate("bca")}
    zipped(tmp_path / "all.zip", members | {"__MACOSX/._b.png": b"", "readme.txt": b""})
    stimuli = opened(tmp_path, "all.zip", {"from": "stored"})
    assert stimuli.names == ["b.png", "c.png", "a.png"]
    np.testing.assert_array_equal(pixels(stimuli), images)
    assert opened(tmp_path, "all.zip", {"from": "stored"}, key="1/*").names == ["c.png"]
    assert not (tmp_path / "0").exists()
    with pytest.raises(InputError, match=r"all.zip: found no image file that matches '7/\*'"):
        opened(tmp_path, "all.zip", key="7/*")


def test_zips_that_cannot_be_used(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"a.zip: found data that cannot be read"):
        opened(tmp_path, "a.zip")
    for name in ("../a.png", "/a.png", "x/../../a.png"):
        zipped(tmp_path / "a.zip", {name: b""})
        with pytest.raises(InputError, match=r"a.zip: found the file name .*leads out"):
            opened(tmp_path, "a.zip")
    zipped(tmp_path / "a.zip", {"a.png": b"no image"})
    with pytest.raises(InputError, match=r"a.zip, a.png: found a file that does not decode"):
        opened(tmp_path, "a.zip").image(0)
    zipped(tmp_path / "a.zip", {"a.png": bytes(1000)})
    monkeypatch.setattr(stimuli_module, "MAX_FILE_BYTES", 999)
    with pytest.raises(
        InputError,
        match=r"a.zip, a.png: found a file that unpacks to 1,000 bytes, expected at most 999",
    ):
        opened(tmp_path, "a.zip")
    with pytest.raises(InputError, match=r"b.zip: found no such file"):
        opened(tmp_path, "b.zip")


# Arrays.


def test_numpy_arrays(tmp_path, images):
    np.save(tmp_path / "a.npy", images)
    stimuli = opened(tmp_path, "a.npy")
    assert stimuli.names == NAMES
    np.testing.assert_array_equal(pixels(stimuli), images)
    np.savez(tmp_path / "a.npz", images=images, names=np.array(["x", "y", "z"]))
    stimuli = opened(tmp_path, "a.npz", {"from": "stored"}, key="images")
    assert stimuli.names == ["x", "y", "z"]
    np.testing.assert_array_equal(pixels(stimuli.select([1])), images[[1]])
    with pytest.raises(InputError, match=r"found variable: several \('images', 'names'\)"):
        opened(tmp_path, "a.npz")


@pytest.mark.parametrize(
    "change",
    [
        lambda grey: grey,
        lambda grey: grey[..., None],
        lambda grey: grey / 255,
        lambda grey: np.float32(grey / 255),
    ],
    ids=["uint8", "one channel", "float64", "float32"],
)
def test_grey_arrays(tmp_path, images, change):
    np.save(tmp_path / "a.npy", change(images[..., 0]))
    expected = np.repeat(images[..., :1], 3, axis=3)
    np.testing.assert_array_equal(pixels(opened(tmp_path, "a.npy")), expected)


def test_arrays_that_cannot_be_used(tmp_path, images):
    def refuses(array, message):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(InputError, match=rf"a.npy.*{message}"):
            opened(tmp_path, "a.npy").image(0)

    refuses(images.astype(object), "unpickling, which can run code")
    refuses(images.astype(np.int64), "type int64, expected")
    refuses(np.moveaxis(images, -1, 1), r"shape \(3, 5, 6\).*expected \(height, width\)")
    refuses(images[0, 0], r"array of shape \(6, 3\), expected images")
    refuses(images[:0], r"array of shape \(0, ")
    refuses(images.astype(np.float32), r"values of \d+ to \d+, expected 0 to 1")
    refuses(np.full((2, 4, 4), np.nan), "values of nan")
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=r"a.npy: found data"):
        opened(tmp_path, "a.npy")
    np.save(tmp_path / "a.npy", images)
    with pytest.raises(InputError, match=r"a.npy: found no names of images.*from: order"):
        opened(tmp_path, "a.npy", {"from": "stored"})
    with pytest.raises(InputError, match=r"b.npy: found no such file"):
        opened(tmp_path, "b.npy")


# MATLAB.


def cells(values):
    array = np.empty((1, len(values)), dtype=object)
    for i, value in enumerate(values):
        array[0, i] = value
    return array


def structs(**fields):
    n = len(next(iter(fields.values())))
    array = np.empty((1, n), dtype=[(name, object) for name in fields])
    for i, values in enumerate(zip(*fields.values(), strict=True)):
        array[0, i] = values
    return array


MATLAB_FORMS = {
    "struct": lambda images: structs(category=["a"] * len(images), image=list(images)),
    "cell": lambda images: cells(list(images)),
    "array, images last": lambda images: np.moveaxis(images, 0, -1),
    "array, colours last": lambda images: images,
}


@pytest.mark.parametrize("form", MATLAB_FORMS)
def test_matlab_5(tmp_path, images, form):
    file = {"stimuli": MATLAB_FORMS[form](images[:2]), "labels": cells(["x", "y"])}
    scipy.io.savemat(tmp_path / "a.mat", file)
    stimuli = opened(tmp_path, "a.mat", key="stimuli")
    np.testing.assert_array_equal(pixels(stimuli), images[:2])
    named = opened(tmp_path, "a.mat", {"from": "stored", "key": "labels"}, key="stimuli")
    assert named.names == ["x", "y"]


def test_fields_of_a_matlab_struct(tmp_path, images):
    variable = structs(label=["dog", "cat", "hat"], photo=list(images), sketch=list(255 - images))
    scipy.io.savemat(tmp_path / "a.mat", {"stimuli": variable})
    named = opened(tmp_path, "a.mat", {"from": "stored", "key": "label"}, field="sketch")
    assert named.names == ["dog", "cat", "hat"]
    np.testing.assert_array_equal(pixels(named), 255 - images)
    with pytest.raises(InputError, match=r"found field: several .*'photo', 'sketch'"):
        opened(tmp_path, "a.mat")
    with pytest.raises(InputError, match=r"a.mat, stimuli\[0\]: found an image of shape \(1,\)"):
        opened(tmp_path, "a.mat", field="label")
    with pytest.raises(InputError, match=r"found variable: 'stimuli'; expected 'other'"):
        opened(tmp_path, "a.mat", key="other")


def write_matlab73(path, images):
    """Write a struct array and a cell array as MATLAB 7.3 does: axes reversed, cells apart."""
    with h5py.File(path, "w", userblock_size=512) as file:

        def stored(values, kind, name):
            item = file.create_dataset(f"#refs#/{name}", data=values.T)
            item.attrs["MATLAB_class"] = np.bytes_(kind)
            return item.ref

        def cell(group, name, references):
            array = np.empty((len(references), 1), dtype=h5py.ref_dtype)
            array[:, 0] = references
            group.create_dataset(name, data=array, dtype=h5py.ref_dtype)

        texts = [np.array([[ord(c) for c in text]], np.uint16) for text in ("dog", "cat", "hat")]
        photos = [stored(image, "uint8", f"p{i}") for i, image in enumerate(images)]
        labels = [stored(text, "char", f"t{i}") for i, text in enumerate(texts)]
        group = file.create_group("stimuli")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        cell(group, "image", photos)
        cell(group, "label", labels)
        cell(file, "photos", photos)
        cell(file, "labels", labels)
        file.create_dataset("stack", data=np.moveaxis(images, 0, -1).T)


@pytest.mark.parametrize(
    ("key", "names"), [("stimuli", "label"), ("photos", "labels"), ("stack", "labels")]
)
def test_matlab_73(tmp_path, images, key, names):
    write_matlab73(tmp_path / "a.mat", images)
    stimuli = opened(tmp_path, "a.mat", {"from": "stored", "key": names}, key=key)
    assert stimuli.names == ["dog", "cat", "hat"]
    np.testing.assert_array_equal(pixels(stimuli), images)


def test_damaged_matlab_file(tmp_path, images):
    scipy.io.savemat(tmp_path / "a.mat", {"stimuli": images})
    data = (tmp_path / "a.mat").read_bytes()
    for damaged, found in (
        (data[:100], "a file that is no readable MATLAB file"),
        (b"no MATLAB file", "a file that is no readable MATLAB file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "108 bytes that are no complete HDF5 file"),
    ):
        (tmp_path / "a.mat").write_bytes(damaged)
        with pytest.raises(InputError, match=rf"a\.mat: found {found}"):
            opened(tmp_path, "a.mat")


@pytest.mark.realdata
def test_the_92_objects_are_the_same_in_both_publications(mirror):
    """Kriegeskorte 2008 (MATLAB, on grey) and Algonauts 2019 (JPEG, on white), in one order."""
    folders = mirror / "images92", mirror / "algonauts2019" / "92images"
    if not all(folder.is_dir() for folder in folders):
        pytest.skip(f"no images92 and algonauts2019 at {mirror}")
    matlab = opened(
        folders[0], "Kriegeskorte_Neuron2008_supplementalData.mat", key="stimuli_92objs"
    )
    jpeg = opened(folders[1], "images/*.jpg", {"from": "order", "pattern": "image_{:04d}"})
    assert len(matlab) == 92
    assert matlab.names == jpeg.names
    assert matlab.image(0).size == (175, 175)

    def on_grey(stimuli):
        grey = np.stack([np.asarray(stimuli.image(i).convert("L"), float) for i in range(92)])
        grey[grey > 245] = 128
        return grey.reshape(92, -1)

    similarity = np.corrcoef(on_grey(matlab), on_grey(jpeg))[:92, 92:]
    np.testing.assert_array_equal(similarity.argmax(axis=1), np.arange(92))
