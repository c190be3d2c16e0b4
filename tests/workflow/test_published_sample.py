"""The published sample of the digits study, from a server of its own to images and patterns.

The archive has the documented names, shapes and labels, with noise for pictures and betas.
"""

import io

import numpy as np
import pytest

from scripts.digits.data.labelled_images import read_images
from tests.unit.digit_files import CATEGORIES, published_betas, published_images, write_zip
from tests.unit.test_acquire import running_server
from workflow.lib.patterns.store import PatternStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

FOLDER = "results/sample/sample"
CONFIG = """
run: sample
studies: [sample]
digits:
  sample:
    title: Published sample
    source: download
    dataset: digitobject
    categories:
      digit: [zero, one, two, three, four, five, six, seven, eight, nine]
      object: [bed, bird, cat, dog, house, tree]
    images:
      side: 64
      train: 3
      validation: 2
      stimuli: 0
      files: [{layout: parts, files: [Train_Data.npz, Val_Data.npz]}]
rsa:
  sample:
    title: Published sample
    source: download
    dataset: digitobject
    brain:
      data: patterns
      files: converted/betas.nii.gz
      subjects: {names: ["1"], from: constant}
      rois: {names: {brain: converted/mask.nii.gz}, from: mask}
      conditions: {from: list, file: converted/conditions.csv, column: condition}
    models:
      objects: {control: groups}
    images: {groups: {digit: zero|one|two|three|four|five|six|seven|eight|nine, object: "."}}
    searchlight: {mask: converted/mask.nii.gz, radius: 9}
"""


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.fixture
def sample(fresh, tmp_path):
    """Return a copy of the repository whose registry finds the archive on a server here."""
    # The authors' notebooks and their page differ in how they spell the names.
    images = {
        file.replace("_Data", "_data"): npz(**arrays)
        for file, arrays in published_images(3, digits=224, objects=256).items()
    }
    members = {f"Sample_Data/{name}": content for name, content in images.items()}
    members["Sample_Data/Sample_fMRI_data.npz"] = npz(beta=published_betas()[0])
    members["Sample_Data/vgg16_weights.txt"] = b"\x80\x04pickle"
    archive = write_zip(tmp_path / "served.zip", members).read_bytes()
    with running_server() as server:
        server.replies["/Sample_Data.zip"] = (200, {}, archive)
        registry = fresh.folder / "config/datasets.yaml"
        address = "http://bspl.korea.ac.kr/Research_data/digitobject"
        registry.write_text(registry.read_text().replace(address, server.url))
        fresh.write("sample.yaml", CONFIG)
        fresh.server = server
        yield fresh


def make(sample, *files, ok=True):
    return sample.snakemake(*files, "--configfile", "sample.yaml", ok=ok)


def test_sample_is_downloaded_once_unpacked_and_taken_apart(sample, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    wanted = [
        f"{FOLDER}/images/train.npz",
        f"{FOLDER}/patterns/brain_1.h5",
    ]
    printed = make(sample, *wanted)
    assert "digitobject: 1 file, size unknown" in printed
    assert [path for path, _ in sample.server.requests] == ["/Sample_Data.zip"]
    unpacked = {file.name for file in (sample.folder / "resources/digitobject").glob("*.npz")}
    assert unpacked == {"Train_Data.npz", "Val_Data.npz", "Sample_fMRI_data.npz"}
    assert not (sample.folder / "resources/digitobject/vgg16_weights.txt").exists()

    sets = {
        part: read_images(sample.folder / f"{FOLDER}/images/{part}.npz")
        for part in ("train", "validation", "stimuli")
    }
    assert {part: images.images.shape for part, images in sets.items()} == {
        "train": (48, 64, 64, 3),
        "validation": (32, 64, 64, 3),
        "stimuli": (0, 64, 64, 3),
    }
    assert sets["validation"].labels.tolist() == [name for name in CATEGORIES for _ in range(2)]

    values, brain = published_betas()
    patterns = PatternStore(sample.folder / f"{FOLDER}/patterns/brain_1.h5").patterns("brain")
    assert patterns.conditions == list(CATEGORIES)
    at = tuple(patterns.channels[axis] for axis in "xyz")
    assert brain[at].all()
    assert len(at[0]) == brain.sum()
    np.testing.assert_allclose(patterns.measurements, values[at].T, rtol=1e-6)

    # Nothing is left to do, also where only what was unpacked is kept.
    assert sample.planned_jobs(*wanted, "--configfile", "sample.yaml") == {}
    (sample.folder / "resources/digitobject/Sample_Data.zip").unlink()
    make(sample, *wanted)
    assert len(sample.server.requests) == 1


def test_archive_that_is_another_one_leaves_nothing_behind(sample, monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    other = write_zip(
        tmp_path / "other.zip", {"Train_Data.npz": npz(x=1), "../Val_Data.npz": b"PK"}
    )
    sample.server.replies["/Sample_Data.zip"] = (200, {}, other.read_bytes())
    printed = make(sample, f"{FOLDER}/images/train.npz", ok=False)
    assert "'../Val_Data.npz', which leads out of the archive" in printed
    assert "Traceback" not in printed
    assert not (sample.folder / "resources/digitobject/Val_Data.npz").exists()
    assert not (sample.folder / f"{FOLDER}/images").exists()
