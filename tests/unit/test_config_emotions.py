"""What the config of study emotions refuses, and the files that it stands for."""

import copy

import pytest
import yaml

from scripts.emotions.network.emotion_training import EmotionOptions
from scripts.emotions.network.trained_networks import NetworkOptions
from scripts.report.claims import ORIGINAL, asks, kind_of_data, read_claims
from tests.conftest import ROOT
from tests.unit.checked_entries import DEFAULT
from workflow.lib.config.complete import complete_config
from workflow.lib.config.emotions import covered_model, shown_model, splits_of
from workflow.lib.config.merging import laid_over
from workflow.lib.errors import InputError
from workflow.lib.layouts.movie import (
    annotation_files,
    confound_files,
    mask_file,
    movie_files,
    region_file,
    run_files,
)

ENTRY = {
    "title": "Lab",
    "source": "path",
    "path": "lab",
    "data": "volumes",
    "files": "sub-{subject}_run-{run}_bold.nii.gz",
    "subjects": ["01", "02"],
    "tr": 2.0,
    "runs": {
        "1": {"start": 0, "end": 60, "n_volumes": 30},
        "2": {"start": 44, "end": 104, "n_volumes": 30},
    },
    "annotations": {"files": "o{observer}.csv", "observers": ["01", "02", "03", "04", "05"]},
    "labels": {"classes": ["FEAR", "LOVE"]},
    "volumes": {"aligned": True},
    "models": {"logistic": {"kind": "logistic"}, "net": {"kind": "cnn"}},
}


def completed(**changes):
    """Return the entry with some keys given anew, as a run sees it."""
    entry = copy.deepcopy(ENTRY) | changes
    config = copy.deepcopy(DEFAULT)
    config["emotions"]["lab"] = entry
    return complete_config(config)["emotions"]["lab"]


def runs(**block):
    return {"runs": {**ENTRY["runs"], "2": {**ENTRY["runs"]["2"], **block}}}


def test_the_entry_by_itself_is_complete():
    entry = completed()
    assert entry["labels"]["lag"] == 2
    assert entry["splits"]["names"][0] == "random"


REFUSED = {
    "source without its key": ({"path": None}, "found 'path' without `path`"),
    "volumes by an absolute path": (
        {"files": "/data/sub-{subject}_run-{run}_bold.nii.gz"},
        r"found the path '/data/sub-01_run-1_bold\.nii\.gz', expected one relative",
    ),
    "simulated parcels": (
        {
            "source": "simulated",
            "simulation": {"folder": "x"},
            "data": "parcels",
            "models": {"logistic": {"kind": "logistic"}},
        },
        "expected volumes, which are what is simulated",
    ),
    "folder of another": (
        {"source": "simulated", "simulation": {"folder": "movie"}},
        "where movie simulates",
    ),
    "files without run": ({"files": "sub-{subject}.nii.gz"}, r"expected \{run\} in it"),
    "files without subject": ({"files": "run-{run}.nii.gz"}, r"expected \{subject\} in it"),
    "observers in one file": (
        {"annotations": {"files": "o.csv", "observers": ["01", "02", "03", "04", "05"]}},
        r"expected \{observer\} in it",
    ),
    "other TR": ({"tr": 2.5}, "30 volumes of 2.5 s, which take 75 s, for 60 s of the movie"),
    "run of another length": (runs(n_volumes=40), "runs.2: found 40 volumes"),
    "runs in another order": (runs(start=0, end=60), "expected runs in the order of the movie"),
    "nothing left of a run": (
        {"labels": {"classes": ["FEAR", "LOVE"], "drop_overlap": 15}},
        "leaves none of the 30 volumes",
    ),
    "more observers than there are": (
        {"labels": {"classes": ["FEAR", "LOVE"], "min_observers": 6}},
        "found 6 of 5 observers",
    ),
    "subjects that are not aligned": ({"volumes": {}}, "a common grid is no registration"),
    "one subject to leave out": (
        {"subjects": ["01"]},
        "found 'subject' with 1 subject, expected at least 2",
    ),
    "one run to leave out": (
        {"runs": {"1": ENTRY["runs"]["1"]}},
        "found 'run' with 1 run, expected at least 2",
    ),
    "as many volumes as in a split that is left out": (
        {"splits": {"names": ["random", "random_matched", "run"]}},
        "found 'random_matched' without 'run_and_subject'",
    ),
    "as many volumes of one subject": (
        {"subjects": ["01"], "splits": {"names": ["random", "random_matched"]}},
        "found 'random_matched' without 'run', expected that split",
    ),
    "a network of parcels": ({"data": "parcels"}, "found cnn for parcels"),
    "a network of confounds": (
        {"models": {"net": {"kind": "cnn", "sees": "confounds"}}},
        "found confounds for a cnn",
    ),
    "a network's options without one": (
        {"models": {"logistic": {"kind": "logistic", "training": {"n_epochs": 2}}}},
        "found it for the kind logistic",
    ),
    "weights that were learned from what is held out": (
        {"models": {"net": {"kind": "cnn", "network": {"weights": "bestmodel.pth"}}}},
        "models.net.splits: found random, .* for weights that were learned from volumes of all",
    ),
    "weights in a clean split": (
        {"models": {"net": {"kind": "cnn", "network": {"weights": "best.pth"}, "splits": ["run"]}}},
        "models.net.splits: found run for weights",
    ),
    "option of another kind": (
        {"models": {"l": {"kind": "logistic", "options": {"alpha": 3}}}},
        "models.l.options: found alpha for the kind logistic, expected C, class_weight",
    ),
    "options of a decoder for a network": (
        {"models": {"net": {"kind": "cnn", "options": {"C": 1}}}},
        "models.net.options: found C for the kind cnn, expected none",
    ),
    "unknown option": (
        {"models": {"l": {"kind": "logistic", "options": {"c": 3}}}},
        "models.l.options: found the unknown key 'c', expected one of C, alpha",
    ),
    "penalty that cannot be": (
        {"models": {"l": {"kind": "logistic", "options": {"C": [1, 0]}}}},
        "options.C.1: found 0, expected more than 0",
    ),
    "unknown weights of classes": (
        {"models": {"l": {"kind": "logistic", "options": {"class_weight": "even"}}}},
        "class_weight: found 'even', expected balanced",
    ),
    "unknown key of a network": (
        {"models": {"net": {"kind": "cnn", "network": {"width": [4]}}}},
        "models.net.network: found the unknown key 'width', .* did you mean 'widths'",
    ),
    "unknown key of training": (
        {"models": {"net": {"kind": "cnn", "training": {"epochs": 3}}}},
        "training: found the unknown key 'epochs', .* did you mean 'n_epochs'",
    ),
    "no epoch": (
        {"models": {"net": {"kind": "cnn", "training": {"n_epochs": 0}}}},
        "training.n_epochs: found 0, expected at least 1",
    ),
    "voxels whose mean is not zero": (
        {"volumes": {"aligned": True, "standardise": False, "detrend": False}},
        "occlusion: found volumes that are neither standardised nor detrended",
    ),
    "unknown split": ({"splits": {"names": ["runs"]}}, "did you mean 'run'"),
    "split of a model that is not made": (
        {
            "splits": {"names": ["run"]},
            "models": {"logistic": {"kind": "logistic", "splits": ["tr"]}},
        },
        "models.logistic.splits: found 'tr', expected one of run",
    ),
    "unknown kind": ({"models": {"svm": {"kind": "svm"}}}, "found 'svm', expected one of"),
    "unknown network": (
        {"occlusion": {"model": "logistic"}},
        "found 'logistic', expected one of net",
    ),
    "split that a network is not fitted to": (
        {"models": {"net": {"kind": "cnn", "splits": ["run"]}}, "occlusion": {"split": "random"}},
        "occlusion.split: found 'random', expected one of run",
    ),
    "unknown shown model": ({"shown_model": "logistics"}, "did you mean 'logistic'"),
    "unknown entry beside": ({"beside": ["lab"]}, "beside: found 'lab'"),
    "regions of parcels in volumes": (
        {"rsa": {"rois": {"PFC": ["1", "2"]}}},
        "found PFC for volumes",
    ),
    "unknown rule": ({"labels": {"classes": ["FEAR", "LOVE"], "rule": "any"}}, "found 'any'"),
    "unknown key": ({"lag": 2}, "found the unknown key 'lag'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_itself_is_refused(case):
    changes, words = REFUSED[case]
    with pytest.raises(InputError, match=words) as refused:
        completed(**changes)
    assert "lab" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_networks_have_the_published_size_and_training_by_default():
    models = completed(
        models={
            **ENTRY["models"],
            "small": {"kind": "cnn", "network": {"widths": [4, 8]}, "training": {"batch": 4}},
        }
    )["models"]
    published = NetworkOptions(**models["net"]["network"])
    assert published == NetworkOptions(widths=[32, 64, 128, 256, 256])
    assert published.trains
    assert EmotionOptions(**models["net"]["training"]) == EmotionOptions()
    assert models["small"]["network"] == {**models["net"]["network"], "widths": [4, 8]}
    assert models["small"]["training"] == {**models["net"]["training"], "batch": 4}
    # What is of networks alone is not given to others.
    assert {"network", "training"}.isdisjoint(models["logistic"])


def test_published_weights_are_told_in_the_split_that_they_come_from():
    block = {"kind": "cnn", "network": {"weights": "best.pth"}, "splits": ["random"]}
    assert completed(models={"net": block})["models"]["net"]["network"]["average"] is True


def test_name_of_a_study_of_another_section_is_refused():
    config = copy.deepcopy(DEFAULT)
    config["emotions"]["digits"] = copy.deepcopy(ENTRY)
    with pytest.raises(InputError, match=r"emotions\.digits: found a study of that name in `rsa`"):
        complete_config(config)


def test_files_are_those_that_patterns_stand_for():
    entry = completed(
        volumes={"aligned": True, "mask": "mask.nii.gz", "confounds": "{subject}_{run}.tsv"},
        rsa={"rois": {"file": "{subject}_regions.nii.gz", "names": {"V1": 1}}},
        stimulus="luminance.csv",
    )
    assert run_files(entry, "02") == {
        "1": "sub-02_run-1_bold.nii.gz",
        "2": "sub-02_run-2_bold.nii.gz",
    }
    assert confound_files(entry, "01") == {"1": "01_1.tsv", "2": "01_2.tsv"}
    assert mask_file(entry, "01") == "mask.nii.gz"
    assert region_file(entry, "02") == "02_regions.nii.gz"
    assert annotation_files(entry)["03"] == "o03.csv"
    files = movie_files(entry)
    # 5 observers, 2 x 2 runs and tables, a mask, two images of regions, the stimulus.
    assert len(files) == len(set(files)) == 5 + 4 + 4 + 1 + 2 + 1


def test_parcels_have_neither_mask_nor_confounds():
    entry = completed(
        data="parcels",
        models={"logistic": {"kind": "logistic"}},
        volumes={"mask": "mask.nii.gz", "confounds": "{subject}_{run}.tsv"},
    )
    assert mask_file(entry, "01") is None
    assert confound_files(entry, "01") == {}
    assert len(movie_files(entry)) == 5 + 4


def test_network_that_is_covered_and_model_that_is_shown():
    entry = completed(
        models={**ENTRY["models"], "net": {"kind": "cnn", "splits": ["random", "run"]}}
    )
    assert covered_model(entry) == ("net", "run")
    assert shown_model(entry) == "logistic"
    assert splits_of(entry, "logistic") == entry["splits"]["names"]
    assert covered_model(completed(models={"logistic": {"kind": "logistic"}})) is None
    confounds = {"kind": "logistic", "sees": "confounds"}
    assert shown_model(completed(models={"run": confounds, "all": {"kind": "logistic"}})) == "all"


def test_published_scores_are_held_to_models_of_the_published_labels():
    """Of other labels, times or models a published score cannot be said to be reproduced or not."""
    full = yaml.safe_load((ROOT / "config/full.yaml").read_text())
    entries = complete_config(laid_over(DEFAULT, full))["emotions"]
    claims = read_claims(ROOT / "config/emotions/claims.csv")
    scores = claims[(claims["rule"] == "number") & claims["table"].isin(["decoding", "auc"])]
    assert len(scores) == 6
    published = {
        **{"rule": "original", "timing": "cumulative", "lag": 0, "drop_overlap": 0},
        **{"min_observers": 5, "per_class": 70},
    }
    for claim in scores.to_dict("records"):
        asked = {
            name: entry
            for name, entry in entries.items()
            if asks(claim, name)
            and kind_of_data(entry["source"], entry["dataset"], claim["dataset"]) == ORIGINAL
        }
        assert list(asked) == ["studyforrest_aligned_published"]
        (entry,) = asked.values()
        assert entry["labels"].items() >= published.items()
        assert len(entry["subjects"]) == 15
        network = entry["models"]["cnn"]
        assert "random" in network["splits"]
        assert network["network"]["scale_volumes"]
        assert network["network"]["widths"] == [32, 64, 128, 256, 256]
