"""Where the images of the digits studies lie, by the config: which files, of which folder."""

import pytest

from workflow.lib.acquire.datasets import Dataset, RawFile
from workflow.lib.errors import InputError
from workflow.lib.layout import stimulus_files
from workflow.lib.layouts.digits import image_collections, image_paths

FILES = ("cats/1.jpg", "cats/2.jpg", "dogs/1.jpg", "labels.csv")
DATASETS = {
    "pets": Dataset("pets", "", "", "", "", "open", tuple(RawFile(file, "u") for file in FILES)),
    "digits": Dataset("digits", "", "", "", "", "open", (RawFile("images.gz", "u"),)),
}


def entry(*files, source="mirror", dataset="pets", path=None):
    """Return an entry of section digits as the completed config has it."""
    blocks = [
        {"layout": "folders", "dataset": None, "files": list(patterns), "categories": {}} | more
        for patterns, more in files
    ]
    return {
        "source": source,
        "dataset": dataset,
        "path": path,
        "simulation": {"folder": "drawn"},
        "images": {"files": blocks},
    }


def test_collections_may_come_from_datasets_of_their_own():
    study = entry((["*/*.jpg"], {}), (["images.gz"], {"dataset": "digits", "layout": "idx"}))
    assert [(c["layout"], c["dataset"]) for c in image_collections(study)] == [
        ("folders", "pets"),
        ("idx", "digits"),
    ]
    assert image_paths(study, DATASETS, "run") == [
        "resources/pets/cats/1.jpg",
        "resources/pets/cats/2.jpg",
        "resources/pets/dogs/1.jpg",
        "resources/digits/images.gz",
    ]


def test_file_that_two_collections_name_is_listed_once():
    study = entry((["cats/*.jpg"], {}), (["cats/1.jpg"], {}))
    assert image_paths(study, DATASETS, "run") == [f"resources/pets/cats/{i}.jpg" for i in (1, 2)]


def test_drawn_images_have_no_files():
    assert image_paths(entry(source="simulated"), DATASETS, "run") == []


def test_own_folder_is_searched_and_the_case_of_a_name_does_not_matter(tmp_path):
    for file in ("cats/2.jpg", "cats/1.jpg", "Train_data.npz"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    patterns = ["cats/*.jpg", "Train_Data.npz", "nowhere.zip"]
    study = entry((patterns, {}), source="path", path=str(tmp_path))
    expected = ["cats/1.jpg", "cats/2.jpg", "Train_data.npz", "nowhere.zip"]
    assert image_paths(study, {}, "run") == [f"{tmp_path}/{file}" for file in expected]


def test_folders_that_a_pattern_matches_are_no_files(tmp_path):
    (tmp_path / "cats/more").mkdir(parents=True)
    (tmp_path / "cats/1.jpg").touch()
    study = entry((["**/*"], {}), source="path", path=str(tmp_path))
    assert image_paths(study, {}, "run") == [f"{tmp_path}/cats/1.jpg"]


@pytest.mark.parametrize("source", ["mirror", "path"])
def test_absolute_pattern_is_refused_before_it_is_looked_for(source, tmp_path):
    pattern = f"{tmp_path}/*.jpg"
    study = entry(([pattern], {}), source=source, path=str(tmp_path))
    with pytest.raises(InputError, match=r"images\.files: found the absolute path .*let `path`"):
        image_paths(study, DATASETS, "run")
    study |= {"stimuli": {"files": pattern, "conditions": {"from": "stored"}}}
    with pytest.raises(InputError, match=r"stimuli\.files: found the absolute path .*let `path`"):
        stimulus_files(study, DATASETS, "run")


@pytest.mark.parametrize("source", ["mirror", "path"])
def test_pattern_without_files_is_named(source, tmp_path):
    study = entry((["birds/*.jpg"], {}), source=source, path=str(tmp_path))
    with pytest.raises(InputError, match=r"birds/\*\.jpg: found no file .*correct images\.files"):
        image_paths(study, DATASETS, "run")
