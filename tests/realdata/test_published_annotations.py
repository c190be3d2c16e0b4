"""The published annotations give the published labels, and better ones in the right time."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml

from scripts.emotions.labelling.annotations import EMOTIONS, read_observers
from scripts.emotions.labelling.label_volumes import Choices, label_volumes
from scripts.emotions.labelling.labels import Labels
from scripts.emotions.labelling.measure_agreement import agreement_of_observers

pytestmark = pytest.mark.realdata

ROOT = Path(__file__).parents[2]
OBSERVERS = tuple(f"{number:02d}" for number in range(1, 10))
# Published: volumes with a label, of 3,526 that the annotations reach.
PUBLISHED = {"FEAR": 236, "SADNESS": 235, "HAPPINESS": 206, "ANGERRAGE": 143, "LOVE": 78}
OTHER = 112
CHOICES = Choices(
    rule="any_character",
    timing="runs",
    min_observers=5,
    classes=tuple(sorted(PUBLISHED)),
    lag=2,
    drop_overlap=4,
    per_class=None,
)


@pytest.fixture(scope="module")
def files(mirror):
    folder = mirror / "studyforrest" / "annotation" / "data" / "raw"
    if not folder.is_dir():
        pytest.skip(f"no annotations at {folder}")
    return {name: folder / f"av1o{name}.csv" for name in OBSERVERS}


@pytest.fixture(scope="module")
def label(files):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    runs = config["emotions"]["studyforrest"]["runs"]

    def of(function=label_volumes, **changed):
        labels = replace(CHOICES, **changed)
        return function(files, runs=runs, tr=2.0, labels=labels, seed=1, study="studyforrest")

    return of


@pytest.fixture(scope="module")
def agreement(label):
    return label(partial(agreement_of_observers, n_bootstrap=200))


def test_observers_wrote_what_was_published(files):
    rows = read_observers(files, duration=7086)
    assert len(rows) == 5222
    named = rows["emotions"].map(len) > 0
    assert named.mean() == pytest.approx(0.68, abs=0.005)
    assert set(rows["emotions"].explode().dropna()) == set(EMOTIONS)
    assert len(EMOTIONS) == 22
    assert (rows["emotions"].map(len) > 1).sum() > 0


def test_the_published_rule_gives_the_published_labels(label):
    table = label(rule="original", timing="cumulative").labels
    named = table[table["label"] != ""]
    counts = Counter(named["label"])
    assert len(named) == 1010
    assert {name: counts[name] for name in PUBLISHED} == PUBLISHED
    assert sum(counts[name] for name in counts if name not in PUBLISHED) == OTHER
    # The annotations end with the 3,526th volume.
    reached = table[[name for name in table if name.startswith("n_")]].any(axis=1)
    assert reached[reached].index.max() == 3525


def test_published_samples_have_seventy_volumes_of_each_class(label):
    labels = Labels(
        label(rule="original", timing="cumulative", per_class=70).labels, CHOICES.classes
    )
    assert Counter(labels.codes[labels.labelled]) == dict.fromkeys(range(5), 70)


def test_published_timing_is_up_to_112_seconds_off(label):
    assert label().timing["error"].max() == pytest.approx(111.56)


def test_any_character_finds_all_classes_in_more_volumes(label):
    counts = label().counts.set_index(["rule", "timing", "emotion"])["n_volumes"]
    for timing in ("runs", "cumulative"):
        for name in (*PUBLISHED, "all"):
            ours, original = (counts[rule, timing, name] for rule in ("any_character", "original"))
            assert ours > original
    assert counts["original", "cumulative", "all"] == 1010


def test_labels_of_five_classes_are_agreed_on_beyond_chance(agreement):
    kappas = agreement[agreement["statistic"] == "fleiss_kappa"].set_index("emotion")
    assert (kappas.loc[list(PUBLISHED), "low"] > 0.2).all()
    assert 0.3 < kappas.loc["all", "value"] < 0.5
    kept = agreement.loc[agreement["statistic"] == "labels_kept", "value"]
    assert len(kept) == 9
    assert kept.min() > 0.8


def test_two_of_the_observers_share_rows(agreement):
    """Observers 03 and 07 wrote a third of their rows alike to the second; no other pair did."""
    shared = agreement[agreement["statistic"] == "shared_rows"].sort_values("value")
    most = shared.iloc[-1]
    assert (most["observer"], most["other"]) == ("03", "07")
    assert most["value"] > 1 / 3 > 2 * shared["value"].iloc[-2]
