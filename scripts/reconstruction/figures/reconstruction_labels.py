"""How figures of a study call its generators, and what they say of images and intervals."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from workflow.lib.sources import JOINT_SUBJECT


def generator_label(name: str) -> str:
    """Return how a generator, a baseline or a decoder is called: its name, with spaces."""
    return name.replace("_", " ")


def size_note(means: pd.DataFrame) -> str:
    """Return how many images and subjects a table of means is of, to begin a caption with."""
    n_subjects = means.loc[means["subject"] != JOINT_SUBJECT, "subject"].nunique()
    n_images = "; ".join(
        f"{part} {images_note(rows['n_images'].iloc[0], rows['n_different'].iloc[0])}"
        for part, rows in means.groupby("part", sort=False)
    )
    return f"{n_images}; n = {n_subjects} subject{'s' * (n_subjects > 1)}"


def images_note(n_images: int, n_different: int) -> str:
    """Return how many images there are, and how many differ if some are copies of others."""
    different = f" ({n_different:,} different ones)" if n_different < n_images else ""
    return f"n = {n_images:,} images{different}"


# What tells a generator nothing of an image.
TELLERS = {
    "shuffled": (
        "Shuffled decoders learned from, and are given, responses to other images: they say as "
        "much, and nothing of the image."
    ),
    "zero": "Zero is shown in place of a stream that a generator is not told.",
}
INTERVALS = (
    "Large dots are means over subjects, with 95 % intervals over images (bootstrap, for shares "
    "Wilson's; subjects are the same in all resamples, so intervals speak of new images, not of "
    "new people); small dots are subjects."
)

TRAINED_ONCE = (
    "Every generator is trained once for each subject: intervals do not tell how another training "
    "would come out."
)


def number(row: pd.Series) -> str:
    """Return a value with its interval."""
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def numbers_with_p(rows: pd.DataFrame, names: Iterable[str]) -> str:
    """Return the value of each model, with its interval and p, for a caption.

    Parameters
    ----------
    rows : DataFrame
        A row per model, by name: value, low, high, p.
    names : iterable of str
        In the order in which they are told.
    """
    p = {name: rows.loc[name, "p"] for name in names}
    return "; ".join(
        f"{generator_label(name)} {number(rows.loc[name])}"
        + (f", p = {p[name]:.2g}" if np.isfinite(p[name]) else ", not tested")
        for name in p
    )


def told_note(told: Mapping[str, Mapping[str, str]]) -> str:
    """Return what generators are told, for a caption.

    Parameters
    ----------
    told : mapping, of `workflow.lib.config.reconstruction_models.told_by_decoders`
    """
    named = "; ".join(
        f"{generator_label(name)} by {' and '.join(generator_label(of) for of in by.values())}"
        for name, by in told.items()
    )
    tellers = {teller for by in told.values() for teller in by.values()}
    explained = [text for teller, text in TELLERS.items() if teller in tellers]
    return " ".join([f"Generators are told of shape and of category: {named}.", *explained])
