"""Searchlight maps of a user's own NIfTI betas, from the config to the figures."""

import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml

from tests.simulated_volumes import (
    BEYOND_MASK,
    CONDITIONS,
    distance_from_region,
    study_block,
    write_study,
)
from workflow.lib.searchlight.assignment import VOLUMES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

RESULTS = "results/mine/maps"
CLUSTERS = f"{RESULTS}/tables/searchlight_clusters.csv"
SUBJECT_FIGURE = f"{RESULTS}/figures/searchlight_s1_planted.png"
GROUP_FIGURE = f"{RESULTS}/figures/searchlight_group_planted.png"
GROUP_PAGE = f"{RESULTS}/figures/searchlight_group_planted.html"


def test_betas_become_maps_and_figures_of_subjects_and_group(fresh):
    subjects = [f"s{i}" for i in range(1, 7)]
    raw = fresh.folder / "raw"
    raw.mkdir()
    write_study(raw, subjects, seed=1)
    study = study_block(raw, subjects, n_permutations=99)
    config = {"run": "mine", "studies": ["maps"], "rsa": {"maps": study}}
    fresh.write("config/mine.yaml", yaml.safe_dump(config))
    targets = (CLUSTERS, SUBJECT_FIGURE, GROUP_FIGURE, GROUP_PAGE)
    planned = fresh.planned_jobs("--configfile", "config/mine.yaml")
    assert planned["compute_searchlight"] == planned["extract_searchlight_patterns"] == 6
    assert planned["infer_searchlight_group"] == 1
    # From six subjects on, single ones are drawn if they are asked for.
    assert (planned.get("plot_searchlight"), planned["plot_searchlight_group"]) == (None, 2)
    assert (planned.get("view_searchlight"), planned["view_searchlight_group"]) == (None, 2)
    # A model of one layer leaves nothing to assign.
    assert "assign_layers_group" not in planned

    fresh.snakemake(*targets, "--configfile", "config/mine.yaml")
    similarity = nibabel.load(fresh.folder / f"{RESULTS}/maps/similarity_s1.nii.gz").get_fdata()
    assert similarity.shape == (*BEYOND_MASK.shape, 2)
    assert np.isnan(similarity[BEYOND_MASK]).all()
    table = pd.read_csv(fresh.folder / f"{RESULTS}/tables/searchlight_s1.csv")
    assert table["status"].tolist() == ["single case"] * 2
    clusters = pd.read_csv(fresh.folder / CLUSTERS)
    peak = tuple(clusters[clusters["model"] == "planted"].iloc[0][["i", "j", "k"]].astype(int))
    assert distance_from_region()[peak] <= 2
    caption = (fresh.folder / GROUP_FIGURE).with_suffix(".rst").read_text()
    assert "6 subjects" in caption
    assert "64 sign flips" in caption
    assert "6 subjects" in (fresh.folder / GROUP_PAGE).read_text()
    assert fresh.planned_jobs(*targets, "--configfile", "config/mine.yaml") == {}


def test_layers_are_assigned_to_one_subject_and_to_six(fresh):
    subjects = [f"s{i}" for i in range(1, 7)]
    raw = fresh.folder / "raw"
    raw.mkdir()
    write_study(raw, subjects, seed=1)
    study = study_block(raw, subjects, n_permutations=99, tfce=False)
    stack = np.stack([pd.read_csv(raw / f"{name}.csv") for name in ("planted", "other")])
    np.savez(raw / "net.npz", rdms=stack, names=CONDITIONS)
    study["models"]["net"] = {
        **{"files": "net.npz", "key": "rdms"},
        "layers": {"names": ["planted", "other"], "from": "axis", "axis": 0},
        "conditions": {"from": "stored", "key": "names"},
    }
    config = {"run": "mine", "studies": ["maps"], "rsa": {"maps": study}}
    fresh.write("config/mine.yaml", yaml.safe_dump(config))
    figures = [f"{RESULTS}/figures/assignment_{who}_net.png" for who in ("s1", "group")]
    assert fresh.planned_jobs("--configfile", "config/mine.yaml")["assign_layers_group"] == 1

    fresh.snakemake(*figures, "--configfile", "config/mine.yaml")
    image = nibabel.load(fresh.folder / f"{RESULTS}/maps/assignment_group_net.nii.gz").get_fdata()
    layer, reliable = (image[..., VOLUMES.index(name)] for name in ("layer", "reliable"))
    middle = distance_from_region() <= 1
    assert (layer[middle] == 1).all()
    assert (reliable[middle] == 1).all()
    table = pd.read_csv(fresh.folder / f"{RESULTS}/tables/assignment_s1_net.csv")
    assert set(table["status"]) == {"single case"}
    assert set(table["resampled"]) == {"conditions"}
    caption = (fresh.folder / figures[0]).with_suffix(".rst").read_text()
    assert "say nothing about other subjects" in caption
