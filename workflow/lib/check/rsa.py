"""What a study of section `rsa` would do, and what it would stop at."""

from collections.abc import Mapping

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.check.contents import check_raw_files
from workflow.lib.check.files import (
    find_files,
    find_own_weights,
    folder_now,
)
from workflow.lib.check.forecast import print_forecast
from workflow.lib.config.complete import made_conditions
from workflow.lib.config.sections import study_sections
from workflow.lib.features.networks import load_network
from workflow.lib.image_groups import read_group_table
from workflow.lib.layout import raw_folder, study_raw_files


def check_entry(name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
    """Print what a study would do, and return what it would stop at, a sentence each.

    Parameters
    ----------
    name : of the study
    config : completed
    datasets : the registry

    Raises
    ------
    InputError
        What `workflow.lib.check.contents.check_raw_files` finds: the first of it.
    """
    study = config["rsa"][name]
    if "group_table" in study["images"]:
        read_group_table(study["images"]["group_table"])
    _check_weights(study["models"], datasets, config["mirror"])
    if study["source"] == "simulated":
        print("  raw files are simulated; there is nothing to compare by name")
        n_images = _n_simulated(name, config)
        print_forecast(study, n_images, n_images)
        if study["brain"]["data"] == "patterns":
            print("  responses take memory and disk besides; they are not there to be counted yet")
        if "searchlight" in study:
            print("  searchlights come on top; their voxels are not there to be counted yet")
        return []
    named = study_raw_files(study, datasets, config["run"])
    files, lacking = find_files(study, named, "files", datasets, config)
    if files:
        with folder_now(raw_folder(study, config["run"]), files) as folder:
            check_raw_files(study, folder, made_conditions(config, name))
    return lacking


def _check_weights(
    models: Mapping[str, Mapping], datasets: Mapping[str, Dataset], mirror: str | None
) -> None:
    """Load the weights that lie in files."""
    for name, model in models.items():
        if "network" in model:
            network, weights = model["network"], model["weights"]
            path = find_own_weights(network, weights, name, datasets, mirror)
            if path:
                load_network(network, path)


def _n_simulated(name: str, config: Mapping) -> int:
    """Return how many images the simulator of a study writes, or what else stands for images."""
    for section in study_sections().values():
        if section.n_simulated and name in config[section.name]:
            return section.n_simulated(config[section.name][name])
    return config["rsa"][name]["simulation"]["n_images"]
