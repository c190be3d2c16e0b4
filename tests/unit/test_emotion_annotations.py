"""Files of observers are read as they were meant, or refused in one clear sentence."""

import numpy as np
import pandas as pd
import pytest

from scripts.emotions.data.simulate_annotations import simulate_annotations
from scripts.emotions.labelling.annotations import (
    COLUMNS,
    EMOTIONS,
    check_classes,
    read_annotations,
    read_observers,
)
from workflow.lib.errors import InputError

CLASSES = ["ANGERRAGE", "FEAR", "HAPPINESS", "LOVE", "SADNESS"]
HEADER = ",".join(COLUMNS)
ROW = "192.0,260.0,FORREST,LOW,POS,SELF,FEAR,VERBAL,EMOFADED"
DURATION = 300.0


def written(folder, *lines, name="av1o01.csv"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path):
    return read_annotations(path, observer="01", duration=DURATION)


def test_cells_are_read_whatever_their_case_spaces_and_line_ends(tmp_path):
    path = tmp_path / "observer.csv"
    path.write_bytes(
        b"\xef\xbb\xbf Start,END,character,arousal,valence,direction,Emotion,oncue,offcue,note\r\n"
        b" 7 , 9.5,Forrest, low,POS,self,  love   Happiness ,face  VERBAL,,x\r\n"
        b"3,8,MAN,,,,,,SCENEEND,y\r\n"
    )
    rows = read(path)
    assert list(rows) == ["observer", *COLUMNS[:6], "emotions", "oncue", "offcue"]
    assert rows.iloc[0].tolist() == [
        *("01", 7.0, 9.5, "FORREST", "LOW", "POS", "SELF"),
        *(("LOVE", "HAPPINESS"), ("FACE", "VERBAL"), ()),
    ]
    assert rows.iloc[1].tolist() == ["01", 3.0, 8.0, "MAN", "", "", "", (), (), ("SCENEEND",)]


def test_columns_are_known_by_their_names(tmp_path):
    written(tmp_path, HEADER, ROW, name="first.csv")
    values = dict(zip(COLUMNS, ROW.split(","), strict=True))
    backwards = list(reversed(COLUMNS))
    lines = ",".join(backwards), ",".join(values[name] for name in backwards)
    written(tmp_path, *lines, name="second.csv")
    pd.testing.assert_frame_equal(read(tmp_path / "first.csv"), read(tmp_path / "second.csv"))


def row(**cells):
    values = dict(zip(COLUMNS, ROW.split(","), strict=True))
    return ",".join({**values, **cells}.values())


UNUSABLE = {
    "no row": ([HEADER], "no row"),
    "column missing": ([HEADER.replace("emotion", "feeling"), ROW], "no column emotion"),
    "curated": (["onset\tduration\te_admiration\te_anger/rage", "1\t2\t0\t0"], "curated"),
    "emotion never named": ([HEADER, row(emotion=""), row(emotion="")], "empty in all 2 rows"),
    "emotion all zero": ([HEADER, row(emotion="0"), row(emotion="0")], "emotion is empty"),
    "arousal never given": ([HEADER, row(arousal=""), row(arousal="")], "arousal is empty"),
    "word with a slash": ([HEADER, ROW, row(emotion="ANGER/RAGE")], "line 3.*write ANGERRAGE"),
    "unknown word": ([HEADER, row(emotion="FEAR XYZZY")], "'XYZZY'.*correct the word"),
    "unknown arousal": ([HEADER, row(arousal="MEDIUM")], "'MEDIUM'.*HIGH, LOW"),
    "no number": ([HEADER, ROW, row(start="early")], "line 3.*'EARLY'"),
    "empty time": ([HEADER, row(end="")], "line 2"),
    "infinite time": ([HEADER, row(end="inf")], "line 2"),
    "before the movie": ([HEADER, row(start="-1")], "line 2.*'-1'"),
    "after the movie": ([HEADER, ROW, row(end="301")], "line 3.*'301'.*300 s"),
    "end before start": ([HEADER, row(start="200", end="200")], "start before the end"),
    "too many cells": ([HEADER, ROW, ROW + ",1,2"], "cannot be read as CSV"),
    "column twice": ([f"{HEADER},Emotion", f"{ROW},FEAR"], "the column emotion twice"),
    "nothing": ([], "no column|cannot be read"),
}


@pytest.mark.parametrize(("lines", "found"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path, lines, found):
    path = written(tmp_path, *lines)
    with pytest.raises(InputError, match=found) as refused:
        read(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "expected" in message
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"av1o07\.csv: no such file"):
        read(tmp_path / "av1o07.csv")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read(tmp_path)


def test_the_last_row_may_end_in_the_last_second_that_has_begun(tmp_path):
    path = written(tmp_path, HEADER, row(end="301"))
    assert read_annotations(path, observer="01", duration=300.4)["end"].tolist() == [301.0]


def test_words_of_other_observers_are_known_where_they_are_given(tmp_path):
    path = written(tmp_path, HEADER, row(emotion="awe"))
    rows = read_annotations(path, observer="x", duration=DURATION, vocabulary=["Awe", "joy"])
    assert rows["emotions"].tolist() == [("AWE",)]


def test_a_copy_of_an_observer_is_refused(tmp_path):
    for name in ("a.csv", "b.csv"):
        written(tmp_path, HEADER, ROW, name=name)
    with pytest.raises(InputError, match=r"b\.csv: found the rows of .*a\.csv"):
        read_observers({"a": tmp_path / "a.csv", "b": tmp_path / "b.csv"}, duration=DURATION)


def test_a_class_that_nobody_names_is_refused(tmp_path):
    rows = read(written(tmp_path, HEADER, ROW, row(emotion="ANGERRAGE")))
    check_classes(rows, ["FEAR", "ANGERRAGE"])
    with pytest.raises(InputError, match=r"no observer named ANGER/RAGE.*write ANGERRAGE"):
        check_classes(rows, ["FEAR", "ANGER/RAGE"])
    with pytest.raises(InputError, match="no observer named LOVE"):
        check_classes(rows, ["LOVE"])
    with pytest.raises(InputError, match=r"no observer named fear.*write FEAR"):
        check_classes(rows, ["fear"])


OBSERVERS = [f"{number:02d}" for number in range(1, 10)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Return files of observers by name, and what the movie shows."""
    folder = tmp_path_factory.mktemp("annotations")
    episodes = simulate_annotations(
        folder,
        observers=OBSERVERS,
        duration=7086,
        emotions=CLASSES,
        rng=np.random.default_rng(11),
        files="raw/av1o{observer}.csv",
    )
    return {name: folder / f"raw/av1o{name}.csv" for name in OBSERVERS}, episodes


def test_simulated_files_have_the_published_layout(simulated):
    files, _ = simulated
    for path in files.values():
        first, *rest = path.read_text().splitlines()
        assert first == HEADER
        starts = [float(line.split(",")[0]) for line in rest]
        assert starts == sorted(starts)
        assert all(line.split(",")[0].endswith(".0") for line in rest)


def test_simulated_observers_do_what_observers_do(simulated):
    files, _ = simulated
    rows = read_observers(files, duration=7086)
    n_words = rows["emotions"].map(len)
    assert set(rows["emotions"].explode().dropna()) == set(EMOTIONS)
    assert 0.5 < (n_words > 0).mean() < 0.9
    assert 0 < (n_words > 1).mean() < 0.1
    assert ((rows["start"] % 1 == 0) & (rows["end"] % 1 == 0)).all()
    of_one = rows[rows["observer"] == "01"]
    overlap = of_one["start"].to_numpy()[1:] < of_one["end"].cummax().to_numpy()[:-1]
    assert overlap.any()


def test_a_simulated_movie_shows_each_emotion_about_as_often(simulated):
    _, episodes = simulated
    counts = episodes["emotion"].value_counts()
    assert counts[CLASSES].max() - counts[CLASSES].min() <= 1
    others = counts.drop(CLASSES)
    assert others.sum() == pytest.approx(counts[CLASSES].mean(), abs=1)
    assert (episodes["start"].to_numpy()[1:] > episodes["end"].to_numpy()[:-1]).all()
    assert episodes["end"].max() <= 7086


def test_observers_of_a_short_movie_stay_in_it(tmp_path):
    simulate_annotations(
        tmp_path, observers=["1"], duration=40, emotions=CLASSES, rng=np.random.default_rng(0)
    )
    rows = read_annotations(tmp_path / "av1o1.csv", observer="1", duration=40)
    assert rows["end"].max() <= 40


def test_commas_at_the_ends_of_rows_move_no_cell(tmp_path):
    path = written(tmp_path, HEADER, ROW + ",", ROW + ",")
    with pytest.warns(pd.errors.ParserWarning):
        assert read(path)["start"].tolist() == [192.0, 192.0]


def test_a_row_may_end_before_its_cues(tmp_path):
    path = written(tmp_path, HEADER, ROW, "3,8,MAN,LOW,POS,SELF,LOVE")
    rows = read(path)
    assert rows["emotions"].tolist() == [("FEAR",), ("LOVE",)]
    assert rows["offcue"].tolist() == [("EMOFADED",), ()]
