"""Simulate what observers of a movie write down: files of the published layout, and the truth.

Episodes of emotions follow one another with pauses between them. Each observer misses some, gives
some another name, is early or late by some seconds, adds rows where nothing is, and writes rows
without an emotion; a second character may show the emotion too, over a part of the time.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.emotions.labelling.annotations import COLUMNS, EMOTIONS
from workflow.lib.files import written_whole

# ASSUME: fixed once, before any model was fitted, for a Fleiss' kappa of about 0.5 over all
# emotions; that of the published observers is 0.4, over a movie eight times as long.
EPISODE_SECONDS, PAUSE_SECONDS = (10, 20), (2, 6)
P_MISSED, P_OTHER_NAME, P_SECOND_WORD, P_SECOND_CHARACTER = 0.2, 0.08, 0.06, 0.25
JITTER_SECONDS = 1.5
# Rows per minute of an observer: where nothing is, and without an emotion.
ADDED_PER_MINUTE, UNNAMED_PER_MINUTE = 0.3, 1.0
ADDED_SECONDS = (1, 12)
P_AROUSAL_OR_VALENCE_OTHER = 0.15

CHARACTERS = ("ANNA", "BEN", "CARLA", "DAVID", "CROWD")
CUES_ON = ("FACE", "VERBAL", "GESTURE", "CONTEXT")
CUES_OFF = ("EMOFADED", "EMOCHANGE", "SCENEEND")
# Of each emotion; others have either, by chance.
# (arousal, valence)
AFFECT_OF = {
    "ANGERRAGE": ("HIGH", "NEG"),
    "FEAR": ("HIGH", "NEG"),
    "HAPPINESS": ("HIGH", "POS"),
    "LOVE": ("LOW", "POS"),
    "SADNESS": ("LOW", "NEG"),
}
OPPOSITE = {"HIGH": "LOW", "LOW": "HIGH", "POS": "NEG", "NEG": "POS"}


def simulate_annotations(
    folder: str | Path,
    *,
    observers: Sequence[str],
    duration: float,
    emotions: Sequence[str],
    rng: np.random.Generator,
    files: str = "av1o{observer}.csv",
) -> pd.DataFrame:
    """Write a file for each observer of a movie; return what it really shows.

    Parameters
    ----------
    folder : where the files go
    observers : names, which stand in the names of their files
    duration : of the movie in seconds
    emotions : that the movie shows, as often as one another; other words come as often as one
    rng : random numbers
    files : path of a file in the folder, with `{observer}`

    Returns
    -------
    DataFrame, a row for each episode in order
        start, end (whole seconds of the movie, end exclusive), emotion
    """
    episodes = _draw_episodes(duration, emotions, rng)
    for observer in observers:
        rows = _observed(episodes, int(duration), rng)
        path = Path(folder) / files.format(observer=observer)
        with written_whole(path) as temporary:
            rows.to_csv(temporary, index=False)
    return episodes


def _draw_episodes(
    duration: float, emotions: Sequence[str], rng: np.random.Generator
) -> pd.DataFrame:
    others = [word for word in EMOTIONS if word not in emotions]
    rows, coming, time = [], [], int(rng.integers(*PAUSE_SECONDS))
    while True:
        end = time + int(rng.integers(EPISODE_SECONDS[0], EPISODE_SECONDS[1] + 1))
        if end > duration:
            return pd.DataFrame(rows, columns=["start", "end", "emotion"])
        if not coming:
            coming = list(rng.permutation([*emotions, rng.choice(others)]))
        rows.append((time, end, str(coming.pop())))
        time = end + int(rng.integers(PAUSE_SECONDS[0], PAUSE_SECONDS[1] + 1))


def _observed(episodes: pd.DataFrame, duration: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the rows that one observer writes, in the order of their starts."""
    rows = []
    for episode in episodes.itertuples():
        if rng.random() < P_MISSED:
            continue
        start, end = _jittered(episode.start, episode.end, duration, rng)
        words = _words(episode.emotion, rng)
        first, second = rng.choice(CHARACTERS, 2, replace=False)
        rows.append(_row(start, end, first, words, rng))
        if rng.random() < P_SECOND_CHARACTER:
            middle = int(rng.integers(start, end))
            rows.append(_row(middle, end, second, words[:1], rng))
    for per_minute, named in ((ADDED_PER_MINUTE, True), (UNNAMED_PER_MINUTE, False)):
        for _ in range(rng.poisson(per_minute * duration / 60)):
            length = int(rng.integers(*ADDED_SECONDS))
            start = int(rng.integers(0, max(duration - length, 1)))
            words = [str(rng.choice(EMOTIONS))] if named else []
            end = min(start + length, duration)
            rows.append(_row(start, end, rng.choice(CHARACTERS), words, rng))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["start", "end"], kind="stable", ignore_index=True)


def _jittered(start: int, end: int, duration: int, rng: np.random.Generator) -> tuple[int, int]:
    moved = np.rint(np.array([start, end]) + JITTER_SECONDS * rng.standard_normal(2)).astype(int)
    first = int(np.clip(moved[0], 0, duration - 1))
    return first, int(np.clip(moved[1], first + 1, duration))


def _words(emotion: str, rng: np.random.Generator) -> list[str]:
    named = str(rng.choice(EMOTIONS)) if rng.random() < P_OTHER_NAME else emotion
    second = str(rng.choice(EMOTIONS))
    return [named, second] if rng.random() < P_SECOND_WORD and second != named else [named]


def _row(
    start: int, end: int, character: str, words: Sequence[str], rng: np.random.Generator
) -> tuple:
    """Return the cells of a row, in the order of the published columns."""
    word = words[0] if words else ""
    by_chance = (rng.choice(["HIGH", "LOW"]), rng.choice(["POS", "NEG"]))
    arousal, valence = (
        OPPOSITE[value] if rng.random() < P_AROUSAL_OR_VALENCE_OTHER else str(value)
        for value in AFFECT_OF.get(word, by_chance)
    )
    cues = " ".join(rng.choice(CUES_ON, rng.integers(1, 3), replace=False))
    direction = str(rng.choice(["SELF", "OTHER"]))
    cells = (arousal, valence, direction, " ".join(words), cues, str(rng.choice(CUES_OFF)))
    return float(start), float(end), str(character), *cells
