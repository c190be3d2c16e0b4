"""Families of small raw files: one job, that goes on where it stopped."""

import pytest

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
