"""Labels of a small movie, and responses of subjects who watch it, for tests of decoding."""

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from scripts.emotions.labelling.labels import Labels

CLASSES = ("ANGERRAGE", "FEAR", "LOVE")
SUBJECTS = ("01", "02", "03", "04")


def movie_labels(seed, n_runs=4, n_episodes=9, dropped=2, classes=CLASSES, shuffled=False):
    """Return labels of runs in which episodes of random length follow gaps of random length.

    Classes take turns, or come in random order, in which runs differ in their classes.
    """
    rng = np.random.default_rng(seed)
    tables, number = [], 0
    for run in range(n_runs):
        order = np.arange(run, run + n_episodes) % len(classes)
        label, episode = [""] * dropped, [-1] * dropped
        for code in rng.permutation(order) if shuffled else order:
            gap, length = rng.integers(0, 5), rng.integers(2, 8)
            label += [""] * gap + [classes[code]] * length
            episode += [-1] * gap + [number] * length
            number += 1
        volume = np.arange(len(label))
        columns = {"run": str(run + 1), "volume": volume, "time": 1000.0 * run + 2 * volume}
        # Labelled with what was shown two volumes before.
        columns["shown"] = columns["time"] + 4
        columns |= {"used": volume >= dropped, "label": label, "agreement": 5, "episode": episode}
        tables.append(pd.DataFrame(columns | {"sampled": True}))
    return Labels(pd.concat(tables, ignore_index=True), classes)


def responses(labels, seed, *, effect=0.0, n_features=12, n_subjects=4, offset=1.0):
    """Return features of subjects, float32 (n_subjects, n_rows, n_features).

    Noise is slow (autocorrelation 0.8), half of it shared by all subjects, as what is driven by the
    movie is, and every run has an offset of its own. `effect` times a pattern of each class is
    added.
    """
    rng = np.random.default_rng(seed)
    n_rows = labels.n_rows

    def slow(*shape):
        noise = rng.standard_normal((*shape, n_rows, n_features))
        return lfilter([0.6], [1, -0.8], noise, axis=-2)

    values = slow(n_subjects) + slow()
    for run in labels.runs:
        values[:, labels.of_run(run)] += offset * rng.standard_normal(n_features)
    patterns = np.vstack(
        [rng.standard_normal((len(labels.classes), n_features)), np.zeros(n_features)]
    )
    return (values + effect * patterns[labels.codes]).astype(np.float32)


class Given:
    """Features in memory, as decoders ask for them."""

    def __init__(self, values):
        self.values = values

    def of(self, subject, rows):
        return self.values[subject][rows]
