"""Families of small raw files: one job, that goes on where it stopped; files given by hand stay."""

import pytest

from workflow.lib.layouts.algonauts2023 import algonauts_files, images_folder

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

NAMES = [f"image_{i}.jpg" for i in range(6)]
WANTED = "resources/toy/images/image_2.jpg"
REGISTRY = """
toy:
  title: Toy
  licence: CC0-1.0
  citation: Nobody 2024
  homepage: https://example.org
  access: open
  how_to_get: Ask nobody.
  files:
    - path: images/image_{i}.jpg
      expand: {i: ["0", "1", "2", "3", "4", "5"]}
      approx_bytes: 8
    - path: rdms.npz
      approx_bytes: 8
"""


@pytest.fixture
def copy(fresh):
    """Return a copy of the repository whose registry has six small images and another file."""
    registry = fresh.folder / "config/datasets.yaml"
    registry.write_text(registry.read_text() + REGISTRY)
    for name in NAMES:
        fresh.write(f"mirror/toy/images/{name}", f"raw {name[6]}")
    return fresh


def fetch(copy, *files, ok=True):
    return copy.snakemake(*files, "--config", "mirror=mirror", "studies=[bold5000]", ok=ok)


def raw_files(copy):
    folder = copy.folder / "resources/toy/images"
    return {file.name: file.read_text() for file in folder.glob("*.jpg")}


def test_family_is_one_job_and_no_part_of_what_other_files_need(copy):
    jobs = copy.planned_jobs(WANTED, "resources/toy/images/image_5.jpg")
    assert len(jobs) == 1
    (rule,) = jobs
    assert rule.startswith("acquire_family_toy")
    assert copy.planned_jobs("resources/toy/rdms.npz") == {"acquire_file": 1}


def test_failed_family_is_gone_on_with(copy):
    missing = copy.folder / "mirror/toy/images/image_4.jpg"
    missing.unlink()
    printed = fetch(copy, WANTED, ok=False)
    assert "toy/images/image_4.jpg has no address to download it from" in printed
    assert "Traceback" not in printed
    assert raw_files(copy) == {}

    # What was copied once is not copied again.
    for name in NAMES[:4]:
        (copy.folder / "mirror/toy/images" / name).unlink()
    missing.write_text("raw 4")
    fetch(copy, WANTED)
    assert raw_files(copy) == {name: f"raw {name[6]}" for name in NAMES}
    assert not (copy.folder / "resources/.kept").exists()

    # Nor is what is in place, where one of the family is gone.
    (copy.folder / "resources/toy/images/image_0.jpg").unlink()
    copy.write("mirror/toy/images/image_0.jpg", "raw 0")
    fetch(copy, "resources/toy/images/image_0.jpg")
    assert raw_files(copy) == {name: f"raw {name[6]}" for name in NAMES}


def test_file_put_in_place_by_hand_is_taken_if_it_is_right(copy):
    copy.write("resources/toy/rdms.npz", "PK by hand")
    fetch(copy, "resources/toy/rdms.npz.sha256")
    assert (copy.folder / "resources/toy/rdms.npz").read_text() == "PK by hand"


# What is given to registered users alone.

CLOSED = "resources/closed"
RAW = algonauts_files(CLOSED, "subj01", ["PPA"])
CLOSED_REGISTRY = """
closed:
  title: Closed
  licence: Terms of its own
  citation: Nobody 2024
  homepage: https://example.org
  access: registration
  how_to_get: Register at https://example.org.
  files:
"""
STUDY = """
studies: [lab]
calibration: {n_simulations: 0}
dissimilarity:
  lab:
    title: Lab
    source: path
    path: resources/closed
    subjects: [subj01]
    rois: {PPA: [PPA]}
    models: {mean: {kind: mean}}
"""


@pytest.fixture
def closed(fresh):
    """Return a copy whose registry has a data set under terms, with a study of it."""
    # Not the size of what the user has.
    files = "".join(
        f"    - {{path: {file.removeprefix(CLOSED + '/')}, bytes: 5}}\n" for file in RAW
    )
    registry = fresh.folder / "config/datasets.yaml"
    registry.write_text(registry.read_text() + CLOSED_REGISTRY + files)
    fresh.write("lab.yaml", STUDY)
    return fresh


def test_files_of_registered_users_survive_a_run_that_fails(closed):
    for file in RAW:
        closed.write(file, "by hand")
    picture = f"{CLOSED}/{images_folder('subj01')}/train-0001_nsd-00013.png"
    for file in (picture, f"{CLOSED}/subj01/notes.txt"):
        closed.write(file, "by hand")
    # Forced: Snakemake removes the outputs of every rule before it makes them again.
    closed.snakemake("--configfile", "lab.yaml", "--forceall", "--keep-going", ok=False)
    for file in (*RAW, picture, f"{CLOSED}/subj01/notes.txt"):
        assert (closed.folder / file).read_text() == "by hand"
        assert not (closed.folder / f"{file}.sha256").exists()


def test_files_of_registered_users_that_are_missing_are_asked_for_before_a_run(closed):
    for file in RAW[1:]:
        closed.write(file, "by hand")
    printed = closed.snakemake("--configfile", "lab.yaml", ok=False)
    assert f"found no {RAW[0]}" in printed
    assert "only after registration: Register at https://example.org." in printed
    assert "Traceback" not in printed
    for file in RAW[1:]:
        assert (closed.folder / file).read_text() == "by hand"
