"""Figures of annotations show every label, and say what they show."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from scripts.emotions.data.simulate_annotations import simulate_annotations
from scripts.emotions.figures.plot_agreement import plot_agreement
from scripts.emotions.figures.plot_timeline import FULL, plot_timeline
from scripts.emotions.labelling.label_volumes import Choices, label_volumes
from scripts.emotions.labelling.labels import Labels
from scripts.emotions.labelling.measure_agreement import agreement_of_observers

CLASSES = ("FEAR", "LOVE", "SADNESS")
OBSERVERS = ("01", "02", "03", "04", "05")
RUNS = {
    name: {"start": start, "end": start + 240, "n_volumes": 120}
    for name, start in (("1", 0), ("2", 224), ("3", 448))
}
CHOICES = Choices(
    rule="any_character",
    timing="runs",
    min_observers=3,
    classes=CLASSES,
    lag=2,
    drop_overlap=4,
    per_class=None,
)


@pytest.fixture(scope="module")
def label(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movie")
    rng = np.random.default_rng(3)
    simulate_annotations(folder, observers=OBSERVERS, duration=688, emotions=CLASSES, rng=rng)

    def of(function=label_volumes, **changed):
        files = {name: folder / f"av1o{name}.csv" for name in OBSERVERS}
        labels = replace(CHOICES, **changed)
        return function(files, runs=RUNS, tr=2.0, labels=labels, seed=1, study="movie")

    return of


def timeline(tables, **changed):
    return plot_timeline(
        Labels(tables.labels, CLASSES),
        tables.counts,
        tables.timing,
        **{"tr": 2.0, "n_observers": 5, "min_observers": 3}
        | {"title": "A movie", "simulated": True, **changed},
    )


def heights(step, times):
    """Return how high a step is at some times."""
    values, edges, _ = step.get_data()
    return values[np.searchsorted(edges, times, side="right") - 1]


def test_a_timeline_shows_how_many_observers_give_each_label(label):
    tables = label()
    figure, _ = timeline(tables)
    panels = figure.axes[: len(RUNS)]
    for run, panel in zip(RUNS, panels, strict=True):
        table = tables.labels[tables.labels["run"] == run]
        rows = [text.get_text() for text in panel.get_yticklabels()]
        assert rows == ["other", "SADNESS", "LOVE", "FEAR"]
        steps = [patch for patch in panel.patches if isinstance(patch, StepPatch)]
        for place, name in enumerate(rows[1:], 1):
            seen, in_full = (heights(steps[2 * place + k], table["time"]) for k in range(2))
            counts = table[f"n_{name}"].to_numpy()
            np.testing.assert_allclose((seen - place) * 5 / FULL, counts, atol=1e-9)
            of_label = np.where(table["label"] == name, counts, 0)
            np.testing.assert_allclose((in_full - place) * 5 / FULL, of_label, atol=1e-9)


def test_a_timeline_says_what_it_shows(label):
    tables = label()
    figure, caption = timeline(tables)
    assert "simulated data" in figure.get_suptitle()
    table = tables.labels
    assert "n = 5 observers" in caption
    assert f"{(table['label'] != '').sum()} of {table['used'].sum()} used volumes" in caption
    for name in CLASSES:
        own = table[table["label"] == name]
        assert f"{name} {len(own)} ({own['episode'].nunique()})" in caption
    assert "up to 32 s later" in caption
    published = label(rule="original", timing="cumulative")
    n_published = (published.labels["label"] != "").sum()
    assert f"The published rule and timing label {n_published} volumes." in caption
    _, caption = timeline(published, simulated=False)
    assert "The published rule and timing label" not in caption
    assert "Times are as published" in caption


def agreement(label, *, n_bootstrap=50, **changed):
    """Return the table, the figure and its caption."""
    table = label(partial(agreement_of_observers, n_bootstrap=n_bootstrap), **changed)
    return table, *plot_agreement(table, classes=CLASSES, title="A movie", simulated=False)


def test_agreement_shows_a_kappa_for_each_emotion(label):
    table, figure, caption = agreement(label)
    kappas = table[table["statistic"] == "fleiss_kappa"]
    names = [text.get_text().split(" (")[0] for text in figure.axes[0].get_yticklabels()]
    assert set(names) == {*kappas["emotion"], "all emotions"} - {"all"}
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    drawn = {name: line.get_xdata()[0] for name, line in zip(names, points, strict=True)}
    for row in kappas.itertuples():
        name = "all emotions" if row.emotion == "all" else row.emotion
        assert drawn[name] == pytest.approx(row.value)
    matrix = figure.axes[1].images[0].get_array()
    assert np.isfinite(matrix).sum() == 10
    assert "n = 5 observers" in caption
    assert "bootstrap over stretches of 60 s of the movie with 50 resamples" in caption


def test_agreement_can_do_without_intervals_and_without_leaving_out(label):
    *_, caption = agreement(label, n_bootstrap=0, min_observers=5)
    assert "bootstrap" not in caption
    assert "Without one observer" not in caption
