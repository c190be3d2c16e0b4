"""Labels of volumes are what a count by hand gives, at the time at which the movie showed it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scripts.emotions.data.simulate_annotations import simulate_annotations
from scripts.emotions.labelling.annotations import read_observers
from scripts.emotions.labelling.label_rules import (
    RULES,
    Marks,
    episodes_of,
    label_table,
    mark_volumes,
    modal_labels,
    sample_classes,
)
from scripts.emotions.labelling.label_volumes import Choices, label_volumes
from scripts.emotions.labelling.labels import Labels, read_labels, shifted
from scripts.emotions.labelling.timeline import duration, published_errors, runs_of, volume_times
from workflow.lib.errors import InputError
from workflow.lib.tables import write_table

TR = 2.0
CLASSES = ("ANGERRAGE", "FEAR", "HAPPINESS", "LOVE", "SADNESS")
# Labs et al. 2015 and ds000113: start, end, volumes.
MOVIE = {
    "1": (0, 902, 451),
    "2": (886, 1768, 441),
    "3": (1752.08, 2628, 438),
    "4": (2612.16, 3588, 488),
    "5": (3572.20, 4496, 462),
    "6": (4480.28, 5358, 439),
    "7": (5342.36, 6426, 542),
    "8": (6410.44, 7086, 338),
}
SMALL = {"1": (0, 240, 120), "2": (224, 464, 120), "3": (448, 688, 120), "4": (672, 912, 120)}


def runs_config(runs):
    return {
        name: {"start": start, "end": end, "n_volumes": n} for name, (start, end, n) in runs.items()
    }


def runs(table):
    return runs_of(runs_config(table))


def times(table, *, timing="runs", lag=0, drop_overlap=0):
    return volume_times(runs(table), timing=timing, tr=TR, lag=lag, drop_overlap=drop_overlap)


def rows(*cells):
    """Return annotations of (observer, start, end, words)."""
    table = pd.DataFrame(cells, columns=["observer", "start", "end", "words"])
    return table.assign(emotions=table.pop("words").str.split().map(tuple))


# Time


def test_volumes_are_at_the_start_of_their_run_less_the_lag():
    table = times(MOVIE, lag=2, drop_overlap=4)
    assert len(table) == 3599
    of_third = table[table["run"] == "3"]
    assert of_third["volume"].tolist() == list(range(438))
    assert of_third["time"].iloc[10] == pytest.approx(1752.08 + 10 * 2 - 4)


@pytest.mark.parametrize("timing", ["runs", "cumulative"])
def test_volumes_were_measured_when_their_run_showed_them_whatever_the_timing(timing):
    table = times(MOVIE, timing=timing, lag=2, drop_overlap=4)
    of_fourth = table[table["run"] == "4"]
    np.testing.assert_allclose(of_fourth["shown"], 2612.16 + 2 * np.arange(488))
    later = table["shown"] - table["time"]
    assert later[table["run"] == "1"].unique().tolist() == [4 if timing == "runs" else 0]


def test_moments_that_two_runs_show_have_one_number():
    table = times(MOVIE, timing="cumulative").assign(label="", sampled=True)
    moments = Labels(table, ()).moments
    shown = table["shown"].to_numpy()
    apart = np.abs(shown[:, None] - shown)
    same = moments[:, None] == moments
    assert same[apart < 0.5].all()
    assert not same[apart > 1.9].any()
    used = times(MOVIE, lag=2, drop_overlap=4)
    of_used = moments[used["used"].to_numpy()]
    assert np.unique(of_used).size == of_used.size


def test_what_no_run_showed_yet_and_what_two_show_is_not_used():
    used = times(MOVIE, lag=2, drop_overlap=4).groupby("run")["used"].agg(list)
    assert used["1"] == [False] * 2 + [True] * 445 + [False] * 4
    assert used["5"] == [False] * 4 + [True] * 454 + [False] * 4
    assert used["8"] == [False] * 4 + [True] * 334
    assert times(MOVIE, lag=6, drop_overlap=4).groupby("run")["used"].sum()["8"] == 332


@pytest.mark.parametrize("lag", [0, 1, 2, 4])
def test_used_volumes_see_each_moment_of_the_movie_once(lag):
    table = times(MOVIE, lag=lag, drop_overlap=4)
    starts = table.loc[table["used"], "time"].to_numpy()
    gaps = np.diff(starts) - TR
    assert (gaps > -1e-6).all()
    assert gaps.max() < TR


def test_published_timing_forgets_that_runs_overlap():
    table = times(MOVIE, timing="cumulative", lag=2, drop_overlap=4)
    np.testing.assert_array_equal(table["time"], 2.0 * np.arange(3599))
    assert table["used"].all()
    errors = published_errors(runs(MOVIE), tr=TR)
    assert errors["error"].tolist() == pytest.approx(
        [0, 16, 31.92, 47.84, 63.80, 79.72, 95.64, 111.56]
    )


def test_runs_stand_in_the_order_of_the_movie():
    shuffled = {name: MOVIE[name] for name in reversed(MOVIE)}
    pd.testing.assert_frame_equal(times(shuffled), times(MOVIE))
    assert duration(runs(shuffled)) == 7086


def test_a_run_of_which_nothing_is_left_is_refused():
    with pytest.raises(InputError, match=r"run 2.*lower `labels\.lag`"):
        times(SMALL, lag=2, drop_overlap=60)


# Rules


def random_annotations(rng, *, n_observers=6, n_rows=40, end=900):
    words = ["FEAR", "LOVE", "HOPE", "LOVE HOPE", "HOPE LOVE", ""]
    cells = []
    for observer in range(n_observers):
        for start in np.sort(rng.integers(0, end - 1, n_rows)):
            stop = min(start + int(rng.integers(1, 60)), end)
            cells.append((f"{observer:02d}", float(start), float(stop), str(rng.choice(words))))
    return rows(*cells)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lag", [0, 3])
def test_an_observer_sees_what_any_row_shows_during_a_volume(seed, lag):
    table = {"a": (0, 302, 151), "b": (289.08, 600, 155), "c": (584.2, 900, 158)}
    volumes = times(table, lag=lag)
    annotations = random_annotations(np.random.default_rng(seed))
    marks = mark_volumes(annotations, volumes, rule="any_character", tr=TR)
    assert set(marks.names) == {"FEAR", "LOVE", "HOPE"}
    expected = np.zeros_like(marks.seen)
    # Hundredths of a second, in which every time is a whole number.
    for row in annotations.itertuples():
        for place, time in enumerate(volumes["time"]):
            begins = round(100 * time)
            if round(100 * row.start) < begins + 200 and begins < round(100 * row.end):
                for word in row.emotions:
                    k = marks.names.index(word)
                    expected[marks.observers.index(row.observer), place, k] = True
    np.testing.assert_array_equal(marks.seen, expected)


def published_labels(annotations, n_volumes, threshold):
    """The published rule, written as its description has it."""
    timelines = []
    for _, own in annotations.groupby("observer"):
        timeline = {}
        for row in own.itertuples():
            cell = " ".join(row.emotions)
            if not cell:
                continue
            for volume in range(int(row.start // 2), int(-(-row.end // 2))):
                timeline[volume] = cell
        timelines.append(timeline)
    labels = []
    for volume in range(n_volumes):
        seen = Counter(timeline[volume] for timeline in timelines if volume in timeline)
        label, count = seen.most_common(1)[0] if seen else ("", 0)
        labels.append(label if count >= threshold else "")
    return labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [1, 2, 4])
def test_the_original_rule_is_the_published_one(seed, threshold):
    volumes = times(MOVIE, timing="cumulative")
    annotations = random_annotations(np.random.default_rng(seed), n_rows=200, end=7000)
    marks = mark_volumes(annotations, volumes, rule="original", tr=TR)
    labels = modal_labels(marks, rule="original", min_observers=threshold)
    assert labels.tolist() == published_labels(annotations, len(volumes), threshold)


@pytest.mark.parametrize("rule", RULES)
def test_timings_agree_where_runs_follow_one_another(rule):
    table = {"1": (0, 300, 150), "2": (300, 600, 150), "3": (600, 900, 150)}
    annotations = random_annotations(np.random.default_rng(3))
    found = [
        mark_volumes(annotations, times(table, timing=timing), rule=rule, tr=TR).seen
        for timing in ("runs", "cumulative")
    ]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("rule", RULES)
def test_a_lag_moves_labels_to_later_volumes(rule):
    annotations = random_annotations(np.random.default_rng(4))
    table = {"1": (0, 900, 450)}
    at_once, late = (
        mark_volumes(annotations, times(table, lag=lag), rule=rule, tr=TR).seen for lag in (0, 3)
    )
    np.testing.assert_array_equal(late[:, 3:], at_once[:, :-3])
    assert not late[:, :3].any()


ONE_RUN = {"1": (0, 20, 10)}


def labels_of(annotations, *, rule, min_observers, table=ONE_RUN):
    volumes = times(table)
    marks = mark_volumes(annotations, volumes, rule=rule, tr=TR)
    labels = modal_labels(marks, rule=rule, min_observers=min_observers)
    return label_table(volumes, marks, labels)


def test_an_observer_counts_once_however_many_characters_show_an_emotion():
    annotations = rows(("1", 0, 4, "FEAR"), ("1", 0, 4, "FEAR"), ("2", 2, 4, "FEAR"))
    table = labels_of(annotations, rule="any_character", min_observers=2)
    assert table["n_FEAR"].tolist() == [1, 2] + [0] * 8
    assert table["agreement"].tolist() == [1, 2] + [0] * 8
    assert table["label"].tolist() == ["", "FEAR"] + [""] * 8


def test_ties_have_no_label_but_the_first_observer_s_in_the_original():
    annotations = rows(
        ("1", 0, 2, "LOVE"), ("2", 0, 2, "FEAR"), ("3", 0, 2, "FEAR"), ("4", 0, 2, "LOVE")
    )
    found = {rule: labels_of(annotations, rule=rule, min_observers=2) for rule in RULES}
    assert {rule: table["label"][0] for rule, table in found.items()} == {
        "any_character": "",
        "original": "LOVE",
    }
    assert found["any_character"]["agreement"][0] == 2


def test_words_of_one_cell_count_each_but_are_one_name_in_the_original():
    annotations = rows(("1", 0, 2, "FEAR LOVE"), ("2", 0, 2, "FEAR"), ("3", 0, 2, "FEAR LOVE"))
    found = {rule: labels_of(annotations, rule=rule, min_observers=2) for rule in RULES}
    assert found["any_character"].loc[0, ["label", "n_FEAR", "n_LOVE"]].tolist() == ["FEAR", 3, 2]
    assert found["original"].loc[0, ["label", "n_FEAR", "n_LOVE"]].tolist() == ["FEAR LOVE", 1, 0]


def test_later_rows_hide_earlier_ones_in_the_original_alone():
    annotations = rows(
        ("1", 0, 8, "FEAR"), ("1", 4, 6, "LOVE"), ("1", 2, 4, ""), ("2", 0, 8, "FEAR")
    )
    original, ours = (
        labels_of(annotations, rule=rule, min_observers=2) for rule in ("original", "any_character")
    )
    assert original["label"].tolist()[:5] == ["FEAR", "FEAR", "", "FEAR", ""]
    assert ours["label"].tolist()[:5] == ["FEAR"] * 4 + [""]


def test_fewer_observers_than_must_agree_are_refused():
    with pytest.raises(InputError, match="found 2 observers, expected at least the 5"):
        labels_of(rows(("1", 0, 2, "FEAR"), ("2", 0, 2, "FEAR")), rule="original", min_observers=5)


def test_volumes_that_are_not_used_have_no_label():
    annotations = rows(("1", 0, 400, "FEAR"))
    volumes = times(SMALL, lag=2, drop_overlap=4)
    marks = mark_volumes(annotations, volumes, rule="any_character", tr=TR)
    names = modal_labels(marks, rule="any_character", min_observers=1)
    table = label_table(volumes, marks, names)
    assert (table.loc[~table["used"], "label"] == "").all()
    assert (table.loc[~table["used"], "episode"] == -1).all()
    assert (table.loc[table["used"] & (table["time"] < 400), "label"] == "FEAR").all()


def test_an_episode_ends_with_its_label_and_with_its_run():
    labels = np.array(["", "A", "A", "B", "", "B", "B", "B", "", "A"], dtype=object)
    of_runs = np.array(["1"] * 7 + ["2"] * 3)
    assert episodes_of(labels, of_runs).tolist() == [-1, 0, 0, 1, -1, 2, 2, 3, -1, 4]


def test_samples_hold_as_many_of_each_class():
    labels = np.array(["A"] * 30 + ["B"] * 12 + [""] * 20 + ["C"] * 50, dtype=object)
    sampled = [
        sample_classes(labels, ("A", "B"), 10, np.random.default_rng(seed)) for seed in (1, 1, 2)
    ]
    assert Counter(labels[sampled[0]]) == {"A": 10, "B": 10}
    np.testing.assert_array_equal(sampled[0], sampled[1])
    assert (sampled[0] != sampled[2]).any()
    with pytest.raises(InputError, match=r"12 volumes labelled B, expected at least 13"):
        sample_classes(labels, ("A", "B"), 13, np.random.default_rng(1))


# The table


def a_table():
    """Labels of two runs, two volumes of which are not used."""
    named = ["", "A", "A", "B", "", "C", "B", "", "", "A", "A", ""]
    return pd.DataFrame(
        {
            "run": ["01"] * 6 + ["02"] * 6,
            "volume": [*range(6)] * 2,
            "time": np.arange(12) * 2.0,
            "shown": np.arange(12) * 2.0 + 4,
            "used": [False] + [True] * 10 + [False],
            "label": named,
            "agreement": np.arange(12),
            "episode": episodes_of(np.array(named, dtype=object), np.repeat(["01", "02"], 6)),
            "sampled": True,
            "n_A": np.arange(12) % 5,
        }
    )


def test_labels_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "labels.csv"
    write_table(a_table(), path)
    labels = read_labels(path, ["B", "A"])
    assert labels.runs == ("01", "02")
    assert labels.emotions == ("A",)
    assert labels.of_run("02").tolist() == [6, 7, 8, 9, 10, 11]
    assert labels.codes.tolist() == [-1, 1, 1, 0, -1, -1, 0, -1, -1, 1, 1, -1]
    assert labels.labelled.tolist() == [code >= 0 for code in labels.codes]
    pd.testing.assert_frame_equal(
        labels.table, a_table(), check_dtype=False, check_column_type=False
    )


def test_labels_that_were_not_sampled_are_not_labelled():
    table = a_table().assign(sampled=np.arange(12) != 2)
    assert Labels(table, ("A", "B")).codes.tolist() == [-1, 0, -1, 1, -1, -1, 1, -1, -1, 0, 0, -1]


def test_tables_without_a_class_or_a_column_are_refused(tmp_path):
    path = tmp_path / "labels.csv"
    write_table(a_table(), path)
    with pytest.raises(InputError, match="no volume labelled D"):
        read_labels(path, ["A", "D"])
    write_table(a_table().drop(columns="episode"), path)
    with pytest.raises(InputError, match="no column episode"):
        read_labels(path, ["A"])


def test_shifts_go_round_within_the_used_volumes_of_a_run():
    labels = Labels(a_table(), ("A", "B"))
    moved = shifted(labels, {"01": 2, "02": -1})
    assert moved.table["label"].tolist() == [
        *("", "", "C", "A", "A", "B"),
        *("", "", "A", "A", "B", ""),
    ]
    assert moved.table["agreement"].tolist() == [0, 4, 5, 1, 2, 3, 7, 8, 9, 10, 6, 11]
    places = ["run", "volume", "time", "shown", "used"]
    pd.testing.assert_frame_equal(moved.table[places], labels.table[places])
    # Every run keeps its labels, and the order in which they follow one another.
    again = shifted(moved, {"01": 3, "02": 1})
    pd.testing.assert_frame_equal(again.table, labels.table)


def test_every_run_needs_a_shift():
    with pytest.raises(InputError, match="no shift of run 02"):
        shifted(Labels(a_table(), ("A",)), {"01": 2})


# The whole of a simulated movie

OBSERVERS = tuple(f"{number:02d}" for number in range(1, 10))
CHOICES = Choices(
    rule="any_character",
    timing="runs",
    min_observers=5,
    classes=CLASSES,
    lag=2,
    drop_overlap=4,
    per_class=None,
)


def simulate(folder, seed):
    episodes = simulate_annotations(
        folder,
        observers=OBSERVERS,
        duration=912,
        emotions=CLASSES,
        rng=np.random.default_rng(seed),
    )
    return episodes, {name: folder / f"av1o{name}.csv" for name in OBSERVERS}


def label(files, choices=CHOICES, **changed):
    return label_volumes(
        files,
        runs=runs_config(SMALL),
        tr=TR,
        labels=replace(choices, **changed),
        seed=7,
        study="movie",
    )


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("movie"), 5)


def truth_of(episodes, table):
    """Return what the movie shows in the middle of each volume."""
    middle = table["time"].to_numpy() + TR / 2
    found = np.full(len(table), "", dtype=object)
    for episode in episodes.itertuples():
        found[(middle >= episode.start) & (middle < episode.end)] = episode.emotion
    return found


@pytest.mark.parametrize("seed", range(101, 106))
def test_observers_together_find_what_a_movie_shows(tmp_path, seed):
    episodes, files = simulate(tmp_path, seed)
    table = label(files).labels
    table = table[table["used"]]
    truth, found = truth_of(episodes, table), table["label"].to_numpy()
    both = (truth != "") & (found != "")
    assert (truth[both] == found[both]).mean() > 0.97
    assert (found[truth != ""] != "").mean() > 0.75
    # Sums of ends that observers see late.
    assert (found[truth == ""] != "").mean() < 0.35
    counts = table[table["label"].isin(CLASSES)].groupby("label")["episode"].nunique()
    assert counts.reindex(CLASSES, fill_value=0).min() >= 5


def test_published_timing_labels_volumes_with_what_comes_later(movie):
    episodes, files = movie
    table = label(files, rule="original", timing="cumulative").labels
    found = table["label"].to_numpy()
    in_last = (table["run"] == "4").to_numpy()
    shown = table.assign(time=672 + TR * table["volume"])
    for assumed, right in ((table, True), (shown, False)):
        both = in_last & (found != "") & (truth_of(episodes, assumed) != "")
        agree = (truth_of(episodes, assumed)[both] == found[both]).mean()
        assert (agree > 0.9) == right


def test_counts_tell_apart_what_rule_and_timing_change(movie):
    _, files = movie
    counts = label(files).counts
    for rule in RULES:
        for timing in ("runs", "cumulative"):
            own = counts[(counts["rule"] == rule) & (counts["timing"] == timing)]
            assert own["of_entry"].all() == (rule == "any_character" and timing == "runs")
            table = label(files, rule=rule, timing=timing).labels
            named = table[table["label"] != ""]
            by_name = own.set_index("emotion")
            for name, volumes in Counter(named["label"]).items():
                assert by_name.loc[name, "n_volumes"] == volumes
            assert by_name.loc["all", "n_volumes"] == len(named)
            assert by_name.loc["all", "n_episodes"] == named["episode"].max() + 1
            assert set(own.loc[own["in_classes"], "emotion"]) == set(CLASSES)


def test_runs_are_labelled_alike_with_other_seeds_and_sampled_by_seed(movie):
    _, files = movie
    tables = label(files, per_class=12).labels, label(files, per_class=12).labels
    pd.testing.assert_frame_equal(*tables)
    labels = Labels(tables[0], CLASSES)
    assert Counter(labels.codes[labels.labelled]) == dict.fromkeys(range(5), 12)
    everything = label(files).labels
    assert everything["sampled"].all()
    assert everything["label"].tolist() == tables[0]["label"].tolist()


def test_a_class_that_too_few_agree_on_is_refused(movie):
    _, files = movie
    with pytest.raises(InputError, match=r"no volume is labelled \w+.*of 9 observers"):
        label(files, min_observers=9)
    with pytest.raises(InputError, match="no observer named ANGER/RAGE"):
        label(files, classes=("ANGER/RAGE", "FEAR"))
    with pytest.raises(InputError, match="found 9 observers, expected at least the 10"):
        label(files, min_observers=10)


def test_annotations_after_the_last_run_are_refused(movie):
    _, files = movie
    shorter = {name: SMALL[name] for name in ("1", "2", "3")}
    with pytest.raises(InputError, match=r"av1o01\.csv, line \d+.*movie of 688 s"):
        label_volumes(
            files,
            runs=runs_config(shorter),
            tr=TR,
            labels=CHOICES,
            seed=7,
            study="movie",
        )


def test_marks_can_do_without_an_observer():
    seen = np.zeros((3, 4, 2), bool)
    seen[1] = True
    marks = Marks(seen, ("a", "b", "c"), ("FEAR", "FEAR LOVE"))
    assert marks.without("b").counts.sum() == 0
    assert marks.without("a").observers == ("b", "c")
    assert marks.of_emotions().names == ("FEAR",)
    assert marks.of_volumes(np.array([True, False, False, True])).counts.shape == (2, 2)


def test_observers_are_read_in_the_order_of_the_config(movie):
    _, files = movie
    backwards = dict(reversed(files.items()))
    annotations = read_observers(backwards, duration=912)
    assert list(annotations["observer"].unique()) == list(backwards)
