"""A run draws what its studies have something to show for, and nothing else."""

import yaml

# Of a user's own, as small as a study can be.
STUDY = {
    "title": "Mine",
    "source": "path",
    "path": "raw",
    "brain": {
        "files": "{subject}.npz",
        "key": "rdm",
        "subjects": {"names": ["s1"], "from": "file_name"},
        "rois": {"names": ["V1"], "from": "constant"},
        "conditions": {"from": "stored", "key": "names"},
    },
    "models": {"net": {"files": "net.csv"}},
}


def planned(fresh, **images):
    """Return how many jobs of each rule a run of the study above would do."""
    study = STUDY | {"images": images}
    config = {"run": "mine", "studies": ["mine"], "calibration": {"n_simulations": 0}}
    fresh.write("mine.yaml", yaml.safe_dump(config | {"rsa": {"mine": study}}))
    return fresh.planned_jobs("--configfile", "mine.yaml")


def test_own_data_have_no_claims_to_score_and_no_single_bar(fresh):
    for name in ("s1.npz", "net.csv"):
        fresh.write(f"raw/{name}", "")
    jobs = planned(fresh)
    assert jobs["plot_heatmap"] == 1
    assert not {"score_claims", "plot_scorecard", "plot_composition"} & set(jobs)
    # What is in groups, or may be left out, is worth a look.
    assert planned(fresh, unmatched="drop")["plot_composition"] == 1
    assert planned(fresh, groups={"faces": "^face"})["plot_composition"] == 1
