"""`make check` of study reconstruction: what a run would stop at, found before it."""

import re
import shutil

import h5py
import pytest
import yaml

from scripts.check.check_config import DEFAULT_CONFIG, check_study
from scripts.reconstruction.data.simulate_pictures import simulate_pictures
from tests.unit.checked_entries import DEFAULT, REGISTRY, problems_of_entry
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over
from workflow.lib.patterns.bdata import BData

FULL = laid_over(DEFAULT, yaml.safe_load(DEFAULT_CONFIG.with_name("full.yaml").read_text()))
FILES = {"training": "sub-{subject}_training.h5", "natural": "sub-{subject}_test.h5"}
N_TRAINING, REPEATS, N_VOXELS_V1 = 24, 2, 120
ENTRY = {
    "title": "Lab",
    "source": "path",
    "subjects": ["01", "02"],
    "responses": {
        "training": FILES["training"],
        "tests": {"natural": FILES["natural"]},
        "rois": {"V1": "ROI_V1 = 1", "HVC": "ROI_HVC = 1"},
    },
    "stimuli": {
        "training": "stimuli/training/{name}.*",
        "tests": {"natural": "stimuli/natural/{name}.*"},
    },
    "image": {"size": 32},
    "folds": {"n_folds": 3},
    "clusters": {
        "network": "squeezenet1_0",
        "layer": "features.5",
        "weights": "untrained",
        "n_clusters": 3,
        "candidates": [2, 3],
    },
    "shapes": {"net": {"kind": "network", "rois": ["V1"], "network": {"widths": [7]}}},
    "semantics": {
        "net": {"kind": "network", "rois": ["HVC"], "network": {"widths": [9, 5]}, "trials": True}
    },
    "generators": {"full": {"shape": "net", "semantics": "net"}},
    "evaluation": {"n_way": [2, 6]},
    "generator": {"widths": [4, 6], "discriminator_widths": [3], "n_epochs": 2, "batch": 5},
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Simulate the files of the entry, as if they were somebody's."""
    folder = tmp_path_factory.mktemp("pictures")
    simulate_pictures(
        folder,
        files=FILES,
        n_images={"training": N_TRAINING, "natural": 6},
        n_repeats={"training": REPEATS, "natural": 2},
        subjects=ENTRY["subjects"],
        streams=["shape", "semantics"],
        variant="fmriprep",
        seed=1,
        name="lab",
    )
    return folder


@pytest.fixture
def folder(simulated, tmp_path):
    return shutil.copytree(simulated, tmp_path / "lab")


def problems_of(folder, **keys):
    return problems_of_entry("reconstruction", laid_over(ENTRY, {"path": str(folder)}, keys))


def test_nothing_stands_in_the_way_of_a_whole_folder(folder, capsys):
    assert problems_of(folder) == []
    printed = capsys.readouterr().out
    assert "training: 24 images" in printed
    assert f"sub-02: V1 {N_VOXELS_V1}, HVC" in printed
    assert "the 6 images of natural" in printed
    assert "squeezenet1_0, features.5: " in printed


def test_sizes_of_networks_are_counted_by_hand(folder, capsys):
    """Weights and biases of all layers; steps of whole batches of all training samples."""
    problems_of(folder)
    printed = capsys.readouterr().out
    with h5py.File(folder / "sub-01_training.h5") as file:
        keys = [key.decode() for key in file["metadata/key"][()]]
        n_high = int((file["metadata/value"][keys.index("ROI_HVC")] == 1).sum())
    shape = (N_VOXELS_V1 + 1) * 7 + (7 + 1) * 32 * 32
    # As published: 150 epochs of batches of 50; of 24 images all are one batch.
    assert f"shapes, net: {shape:,} parameters, at most 150 steps of 24," in printed
    semantic = (n_high + 1) * 9 + (9 + 1) * 5 + (5 + 1) * 3
    # 48 single trials are less than a batch, too.
    assert f"semantics, net: {semantic:,} parameters, at most 150 steps of 48," in printed
    assert "4 fits for each subject, about " in printed
    # Kernels of 4 x 4. Down 1 -> 4 -> 6; up 6 and a vector of 5 -> 4, twice 4 -> 3 with a bias.
    drawing = 16 * (1 * 4 + 4 * 6 + 6 * 4 + 5 * 4 + 8 * 3) + 3
    # Colours and shape -> 3 -> 1, with biases.
    judging = 16 * (4 * 3 + 3 * 1) + 3 + 1
    words = f"U-Net of {drawing:,} parameters, discriminator of {judging:,}, at most 8 steps of 5,"
    assert words in printed
    assert "1 generators for each subject, about " in printed


def test_time_and_memory_of_all_of_it_are_more_than_those_of_any_network(folder, capsys):
    # Networks that see images take less than the narrower of the two.
    problems_of(folder, shapes={"net": {"network": {"widths": [40_000]}}})
    small = capsys.readouterr().out
    problems_of(
        folder, generator={"n_epochs": 20_000}, shapes={"net": {"network": {"widths": [90_000]}}}
    )
    large = capsys.readouterr().out
    told = r"predicted: about ([\d.]+) (s|min|h) on \d+ cores without a GPU, ([\d.]+) GB of memory"
    (time, unit, memory), (long, of_long, wide) = (
        re.search(told, printed).groups() for printed in (small, large)
    )
    seconds = {"s": 1, "min": 60, "h": 3600}
    # Twenty thousand epochs of steps of a millisecond and more.
    assert float(long) * seconds[of_long] > float(time) * seconds[unit] + 20
    # Four copies of 51,200,000 weights more at least, but for two digits: they, gradients, and two
    # moments.
    assert float(wide) - float(memory) > 4 * 4 * 50_000 * 1024 / 1e9 - 0.01


@pytest.mark.parametrize(
    # Responses to shapes have no address in the registry.
    ("name", "lacking"),
    [
        ("pictures", []),
        ("deeprecon", ["3 such files, the first: deeprecon/fmri/sub-01_Artificial"]),
    ],
)
def test_entries_of_the_repository_pass_but_for_what_nobody_can_download(name, lacking, capsys):
    config = complete_config(laid_over(FULL, {"studies": [name], "mirror": None}))
    found = check_study(name, config, REGISTRY)
    printed = capsys.readouterr().out
    assert len(found) == len(lacking)
    for problem, start in zip(found, lacking, strict=True):
        assert problem.startswith(f"{name}: {start}")
        assert "fetch them from there to the mirror folder" in problem
    told = "raw files are simulated" if name == "pictures" else "sizes are taken to be 1,200"
    assert told in printed


def test_a_selector_that_a_simulation_lacks_is_told_of_the_file_that_it_writes():
    config = complete_config(laid_over(FULL, {"studies": ["pictures"], "mirror": None}))
    config["reconstruction"]["pictures"]["responses"]["rois"]["VC"] = "ROI_V9 = 1"
    (problem,) = check_study("pictures", config, REGISTRY)
    file = "sub-01_ImageNetTraining_fmriprep_volume_native.h5"
    assert problem.startswith(f"pictures: {file}: found no key 'ROI_V9'")


def lose_responses(folder):
    (folder / "sub-02_test.h5").unlink()


def cut_responses(folder):
    path = folder / "sub-01_training.h5"
    path.write_bytes(path.read_bytes()[:300])


def lose_an_image(folder):
    next((folder / "stimuli/training").glob("*.png")).unlink()


def show_training_images(folder):
    shutil.copy(folder / "sub-01_training.h5", folder / "sub-01_test.h5")
    shutil.copy(folder / "sub-02_training.h5", folder / "sub-02_test.h5")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lose_responses, "sub-02_test.h5"),
        (cut_responses, "sub-01_training.h5"),
        (lose_an_image, "found no image for"),
        (show_training_images, "among the training images, too"),
    ],
)
def test_files_that_cannot_be_used_are_found(folder, change, words):
    change(folder)
    problems = problems_of(folder)
    assert len(problems) == 1, problems
    assert words in problems[0]
    assert "\n" not in problems[0]


def test_a_test_of_too_few_images_is_found(folder):
    with BData(folder / "sub-01_test.h5") as data:
        *three, fourth, fifth, sixth = sorted(set(data.names()) - {None})
    left_out = {"responses": {"leave_out": [fourth, fifth, sixth]}}
    assert problems_of(folder, **left_out, evaluation={"n_way": [2]}) == []
    left_out["responses"]["leave_out"].append(three[-1])
    (problem,) = problems_of(folder, **left_out, evaluation={"n_way": [2]})
    assert "natural: found 2 different images, expected at least 3" in problem


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"responses": {"rois": {"V1": "ROI_V9 = 1"}}}, "ROI_V9"),
        ({"clusters": {"network": "squeezenet"}}, "squeezenet"),
        ({"clusters": {"layer": "features.99"}}, "features.99"),
        ({"clusters": {"weights": "nowhere.pth"}}, "nowhere.pth"),
        ({"clusters": {"n_clusters": 24}}, "24 clusters of 24 training images"),
        ({"folds": {"n_folds": 25}}, "25"),
        ({"evaluation": {"n_way": [2, 7]}}, "evaluation.n_way: found 7 of 6 images"),
        ({"published": "nowhere.csv"}, "nowhere.csv: found no such file"),
        ({"generator": {"widths": [4, 4, 4, 4, 4, 4]}}, "6 halvings of images of 32 pixels"),
        ({"generator": {"discriminator_widths": [4, 4, 4, 4]}}, "for images of 32"),
        ({"image": {"size": 30}}, "image.size: found 30 pixels, expected a number that 4 divides"),
        (
            {
                "shapes": {
                    "linear": {"kind": "ridge", "rois": ["V1"], "ridge": {"n_inner_folds": 17}}
                }
            },
            # Of 24 images, a third is left out by a fold.
            "found 16 different images to learn from for 17 inner folds",
        ),
    ],
)
def test_choices_that_cannot_be_run_are_found(folder, keys, words):
    problems = problems_of(folder, **keys)
    assert any(words in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)
