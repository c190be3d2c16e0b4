"""Tables of scores of pairs: labels that are text, and which fits saw all training images."""

from collections.abc import Iterable

import pandas as pd

# What names a fit beside its subject, ROI and metric; empty where a model has none.
NAMING = ("model", "embedding", "variant")
OF_FIT = ("subject", "roi", "metric", *NAMING, "split", "measure")
TEXTS = (*OF_FIT, "study", "kind", "deal", "labels", "status", "reason", "note")

# What ceilings are taken from.
NOISELESS, OTHERS = "noiseless responses", "other subjects"


def read_scores(path: str) -> pd.DataFrame:
    """Return a table with text where there is text: variant "1", no embedding ""."""
    # Variants may be numbers, which one fit without any would turn into 1.0.
    table = pd.read_csv(
        path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=[""]
    )
    return table.assign(**{name: table[name].fillna("") for name in TEXTS if name in table})


def fully_trained(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of fits to all training images, one each, without learning curves.

    Rows of fits that were not applicable, and so were trained on nothing, are among them.
    """
    labels = list(OF_FIT)
    most = scores.groupby(labels)["n_training_images"].transform("max")
    rows = scores[(scores["n_training_images"] == most) | most.isna()]
    # A learning curve may end with as many images as there are.
    return rows.drop_duplicates(labels)


def chosen(table: pd.DataFrame, **labels: str) -> pd.DataFrame:
    """Return the rows that carry all these labels."""
    for name, label in labels.items():
        table = table[table[name] == label]
    return table


def first_if_none(label: str | None, found: Iterable[str]) -> str:
    """Return a label, or the first one found where none is asked for; "" where there is none."""
    return label if label is not None else next(iter(found), "")
