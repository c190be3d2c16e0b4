"""How long a study takes and what it needs, as text."""

import os
from collections.abc import Mapping, Sequence

from workflow.lib.acquire.datasets import size_text
from workflow.lib.inference.folds import most_folds
from workflow.lib.prediction import (
    CHANNELS,
    OPERATIONS_PER_SECOND,
    NetworkCost,
    ResponseSize,
    encoding_cost,
    network_cost,
    searchlight_cost,
    study_size,
)


def n_cores() -> int:
    """Return how many cores this machine has: what forecasts are made for."""
    return os.cpu_count() or 1


def print_forecast(
    study: Mapping,
    n_images: int,
    n_shown: int,
    spheres: Mapping[str, tuple[int, int]] | None = None,
    responses: Sequence[ResponseSize] = (),
    searched: Sequence[ResponseSize] = (),
) -> None:
    """Print about how long a study of `rsa` takes and what it needs.

    Parameters
    ----------
    study : a study of the completed config
    n_images : number of common images
    n_shown : number of images that networks see
    spheres : of each subject with a searchlight, the voxels with data, and those of a sphere
    responses : of each subject, if the study is one of patterns
    searched : of each subject with a searchlight, those that it reads
    """
    cores = n_cores()
    size = study_size(study, n_images)
    networks = {
        name: network_cost(model, n_shown)
        for name, model in study["models"].items()
        if "network" in model
    }
    for name, cost in networks.items():
        print(f"  {name}: {_network_text(cost, cores)}")
    seconds = size.seconds(cores) + sum(cost.seconds(cores) for cost in networks.values())
    seconds += _encoding_seconds(study, n_images, cores)
    seconds += _searchlight_seconds(study, n_images, spheres or {}, cores)
    memory = max(
        [
            size.memory_bytes(),
            *(cost.memory_bytes() for cost in networks.values()),
            *(own.memory_bytes(study) for own in responses),
            *(own.reading_bytes(study["brain"]) for own in searched),
        ]
    )
    disk = size.disk_bytes() + sum(own.disk_bytes() for own in responses)
    print(
        f"  predicted: {size.n_images:,} images ({size.n_pairs:,} pairs), "
        f"about {duration_text(seconds)} on {cores} cores, "
        f"{size_text(memory)} of memory per job, "
        f"{size_text(disk)} of disk"
    )


def _encoding_seconds(study: Mapping, n_images: int, cores: int) -> float:
    """Print what encoding models take, and return it."""
    cost = encoding_cost(study, n_images)
    if cost is None:
        return 0.0
    if cost.n_folds > most_folds(n_images):
        print(
            f"  ridge encoding: left out, {n_images} images are too few for encoding.folds: "
            f"{cost.n_folds} (three a fold)"
        )
        return 0.0
    print(
        f"  ridge encoding: {cost.n_fits} layers x ROIs per subject, about "
        f"{duration_text(cost.seconds(cores))} on {cores} cores (with {CHANNELS} channels per "
        "ROI)"
    )
    return cost.seconds(cores)


def _searchlight_seconds(
    study: Mapping, n_images: int, spheres: Mapping[str, tuple[int, int]], cores: int
) -> float:
    """Print what the searchlight of each subject takes, and return their sum."""
    total = 0.0
    for subject, (n_voxels, per_sphere) in spheres.items():
        seconds = searchlight_cost(study, n_images, n_voxels, per_sphere).seconds(cores)
        print(f"  searchlight of {subject}: about {duration_text(seconds)} on {cores} cores")
        total += seconds
    return total


def _network_text(cost: NetworkCost, cores: int) -> str:
    seeds = f" x {cost.n_seeds} seeds" if cost.n_seeds > 1 else ""
    return (
        f"{cost.operations / 1e9:.3g} GFLOP per image x {cost.n_images:,} images{seeds}, "
        f"{without_gpu_text(cost.seconds(cores))}, {size_text(cost.memory_bytes())} of memory, "
        f"{size_text(cost.temporary_bytes())} of temporary activations"
    )


def without_gpu_text(seconds: float) -> str:
    """Write how long networks take on this machine's cores, and what that is reckoned by."""
    speed = f"{OPERATIONS_PER_SECOND / 1e9:.0f} GFLOP/s per core"
    return f"about {duration_text(seconds)} without a GPU (at {speed})"


def duration_text(seconds: float) -> str:
    """Write a duration for people: seconds, minutes or hours.

    >>> duration_text(89), duration_text(5399), duration_text(5400)
    ('89 s', '90 min', '1.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
