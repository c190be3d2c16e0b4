"""Pictures that stand in for stimuli: opened, scrambled, and averaged over a category."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import pdist

from scripts.stand_ins.compute_stand_in_rdms import (
    SIDE,
    category_rdms,
    open_picture,
    scrambled,
    stand_ins,
)
from workflow.lib.errors import InputError
from workflow.lib.features.networks import load_network


def smooth_picture(seed, contrast=20):
    """A picture of low contrast, none of whose pixels is clipped when it is scrambled."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(128, contrast, (8, 8, 3)).clip(80, 176)
    return Image.fromarray(np.uint8(coarse)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "objects").mkdir()
    for number in range(2):
        smooth_picture(number).save(tmp_path / f"objects/{number}.png")
    with zipfile.ZipFile(tmp_path / "objects/more.zip", "w") as archive:
        for number in range(2):
            archive.write(tmp_path / f"objects/{number}.png", f"in/{number}.png")
        archive.writestr("broken.png", b"no picture")
    (tmp_path / "objects/cut.zip").write_bytes((tmp_path / "objects/more.zip").read_bytes()[:2000])
    return tmp_path


def test_a_member_of_an_archive_is_the_file_that_went_into_it(folder):
    alone = np.asarray(open_picture("objects/1.png", folder))
    np.testing.assert_array_equal(
        alone, np.asarray(open_picture("objects/more.zip/in/1.png", folder))
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("objects/more.zip/in/2.png", r"more\.zip: found no member 'in/2\.png'"),
        ("objects/cut.zip/in/1.png", r"cut\.zip: found data that cannot be read"),
        ("objects/more.zip/broken.png", "broken.png: found a file that does not decode"),
    ],
)
def test_what_cannot_be_opened_is_named(folder, path, message):
    with pytest.raises(InputError, match=message):
        open_picture(path, folder)


def test_scrambling_keeps_the_spectrum_and_takes_what_there_was_to_see():
    picture = smooth_picture(3)
    changed = scrambled(picture, np.random.default_rng(0))
    before, after = (np.asarray(one, float) for one in (picture, changed))
    np.testing.assert_allclose(after.mean(axis=(0, 1)), before.mean(axis=(0, 1)), atol=1)
    spectra = [np.abs(np.fft.fft2(one[..., 0] - one[..., 0].mean())) for one in (before, after)]
    large = spectra[0] > 1e4
    assert large.sum() > 50
    np.testing.assert_allclose(spectra[1][large], spectra[0][large], rtol=0.02)
    assert abs(np.corrcoef(before[..., 0].ravel(), after[..., 0].ravel())[0, 1]) < 0.5


def test_there_is_a_scrambled_picture_of_every_other(folder):
    pictures = {"a": ["objects/0.png"], "b": ["objects/1.png", "objects/more.zip/in/0.png"]}
    opened = stand_ins(pictures, "scrambled", folder, np.random.default_rng(0))
    assert [len(several) for several in opened.values()] == [1, 2, 3]
    assert list(stand_ins(pictures, None, folder, np.random.default_rng(0))) == ["a", "b"]


def test_categories_are_compared_by_their_mean_activations():
    """Beside torchvision's own network, run picture by picture, and scipy."""
    pictures = {
        "a": [smooth_picture(0), smooth_picture(1)],
        "b": [smooth_picture(2)],
        "c": [smooth_picture(3), smooth_picture(4), smooth_picture(5)],
    }
    found = {
        labels["layer"]: rdm
        for labels, rdm in category_rdms(
            "squeezenet1_0",
            "untrained",
            {"conv1": "features.0", "fire9": "features.12"},
            pictures,
            torch.device("cpu"),
        )
    }
    network, transforms = load_network("squeezenet1_0", "untrained")
    for layer, depth in (("conv1", 1), ("fire9", 13)):
        with torch.inference_mode():
            means = [
                np.mean(
                    [
                        network.features[:depth](transforms(picture)[np.newaxis]).numpy().ravel()
                        for picture in several
                    ],
                    axis=0,
                    dtype=np.float64,
                )
                for several in pictures.values()
            ]
        np.testing.assert_allclose(found[layer], pdist(np.stack(means), "correlation"), atol=1e-5)
