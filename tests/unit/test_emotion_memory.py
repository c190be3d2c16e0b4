"""Jobs of networks of emotions ask for memory and time by the size of the network and volumes."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from scripts.emotions.maps.gradients import N_STEPS
from scripts.emotions.network.emotion_cnn import PUBLISHED_SHAPE, PUBLISHED_WIDTHS, EmotionCNN
from scripts.emotions.network.emotion_training import VOXELS_AT_ONCE
from workflow.lib.layout import is_weight_file

FUNCTIONS = Path(__file__).parents[2]
FUNCTIONS /= "workflow/rules/studies/emotions/resources_functions.smk"
WILDCARDS = SimpleNamespace(study="study", model="net")
# GB of a small node of a cluster, and volumes of a subject of StudyForrest.
NODE_GB, N_VOLUMES = 64, 3599


def functions(n_subjects=1, n_folds=5, **changed):
    """Return the functions of an entry whose network is the published one, but for changes."""
    network = {"widths": list(PUBLISHED_WIDTHS), "expansion": 2, "weights": "untrained"}
    entry = {
        "subjects": list(range(n_subjects)),
        "runs": {"1": {"n_volumes": N_VOLUMES}},
        "labels": {"classes": list("abcde")},
        "splits": {"n_folds": n_folds},
        "occlusion": {"n_per_class": 10, "stride": 2},
        "inference": {"n_refits": 3},
        "models": {
            "net": {"network": network | changed, "training": {"batch": 16, "n_epochs": 50}}
        },
    }
    names = {
        "config": {"emotions": {"study": entry}},
        "covered_model": lambda entry: ("net", "run"),
        "is_weight_file": is_weight_file,
    }
    exec(compile(FUNCTIONS.read_text(), FUNCTIONS, "exec"), names)
    return names


def series(n_voxels, n_subjects=1):
    """Return what Snakemake says of time series of so many voxels."""
    return SimpleNamespace(size_mb=n_subjects * N_VOLUMES * n_voxels * 4 / 2**20)


def results_of(widths, shape, expansion=2):
    """Return how many numbers all layers of the network give of a volume."""
    network = EmotionCNN(widths, 5, expansion=expansion).to("meta").eval()
    counts = []
    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *call: counts.append(call[-1].numel()))
    network(torch.empty(1, *shape, device="meta"))
    return sum(counts)


@pytest.mark.parametrize(
    ("widths", "expansion", "shape"),
    [
        (PUBLISHED_WIDTHS, 2, PUBLISHED_SHAPE),
        ((4, 16), 2, (14, 16, 12)),
        ((8, 8, 16), 3, (32,) * 3),
    ],
)
def test_results_are_those_of_the_layers(widths, expansion, shape):
    network = {"widths": list(widths), "expansion": expansion}
    n_voxels = torch.Size(shape).numel()
    expected = results_of(widths, shape, expansion)
    assert functions()["results_per_voxel"](network) * n_voxels == pytest.approx(expected, rel=0.03)


def test_the_published_network_has_room_for_a_batch_on_a_node():
    shown = functions()
    n_voxels = torch.Size(PUBLISHED_SHAPE).numel()
    batch_mb = 16 * results_of(PUBLISHED_WIDTHS, PUBLISHED_SHAPE) * 4 / 1e6
    # A box has twice the voxels of the brain in it.
    found = [
        shown[name](WILDCARDS, series(n_voxels / 2), attempt=1)
        for name in ("emotion_training_mb", "occlusion_mb")
    ]
    assert batch_mb + 500 < found[0] < 1000 * NODE_GB
    at_once = 8 * results_of(PUBLISHED_WIDTHS, PUBLISHED_SHAPE) * 4 / 1e6
    assert at_once + 500 < found[1] < 1000 * NODE_GB


def test_small_networks_ask_for_little():
    small = functions(widths=[4, 16])
    assert small["emotion_training_mb"](WILDCARDS, series(1232), attempt=1) < 2500
    assert small["occlusion_mb"](WILDCARDS, series(1232), attempt=1) < 2500
    assert small["emotion_training_minutes"](WILDCARDS, series(1232), attempt=1) <= 60


def test_time_grows_with_subjects_up_to_a_day_and_weights_take_none():
    minutes = [
        functions(n_subjects)["emotion_training_minutes"](
            WILDCARDS, series(112_000, n_subjects), attempt=1
        )
        for n_subjects in (1, 4, 100)
    ]
    assert 60 < minutes[0] < minutes[1] < minutes[2] == 24 * 60
    given = functions(weights="bestmodel.pth")["emotion_training_minutes"]
    assert given(WILDCARDS, series(112_000), attempt=1) < 60


def test_a_job_that_was_killed_asks_for_twice_as_much():
    found = functions()
    for name in ("emotion_training_mb", "emotion_training_minutes", "occlusion_mb"):
        first, second = (
            found[name](WILDCARDS, series(112_000), attempt=attempt) for attempt in (1, 2)
        )
        assert second == 2 * first, name
    refit = found["refit_minutes"]
    assert refit(WILDCARDS, attempt=3) == 4 * refit(WILDCARDS, attempt=1)


def test_what_is_computed_at_once_is_what_is_asked_for():
    """Rules cannot import what computes with PyTorch."""
    assert functions()["EVALUATED_VOXELS"] == VOXELS_AT_ONCE
    assert functions()["GRADIENT_STEPS"] == N_STEPS
