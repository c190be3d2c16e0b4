"""Reading results out of the layer x ROI tables (`rsa_<subject>.csv`)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow.lib.sources import MEAN_SESSION


def mean_session_rows(table: pd.DataFrame, comparator: str) -> pd.DataFrame:
    """Return the rows of one comparator and of the mean over sessions."""
    return table[(table["comparator"] == comparator) & (table["session"] == MEAN_SESSION)]


def model_rows(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return the rows of one model: places along layers mean something within a network only."""
    return table[table["model"] == model]


def column_labels(table: pd.DataFrame) -> pd.Series:
    """Return what each row's layer is called: with its model, where two models share its name."""
    models_per_layer = table.groupby("layer")["model"].transform("nunique")
    return table["layer"].where(models_per_layer == 1, table["model"] + " " + table["layer"])


def similarity_matrix(table: pd.DataFrame, values: str = "similarity") -> pd.DataFrame:
    """Return ROI x layer similarities of one subject, comparator and session, in table order.

    Layers are called as `column_labels` says. Another column of the table can be had by `values`.
    """
    table = table.assign(column=column_labels(table))
    rois, columns = (list(dict.fromkeys(table[name])) for name in ("roi", "column"))
    return table.pivot(index="roi", columns="column", values=values).loc[rois, columns]


def group_means(table: pd.DataFrame, roi_groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the mean similarity over the ROIs of each group, (n_groups, n_layers)."""
    matrix = similarity_matrix(table)
    return pd.DataFrame(
        {group: matrix.loc[list(rois)].mean() for group, rois in roi_groups.items()}
    ).T


def layer_centre_of_mass(similarities: np.ndarray) -> np.ndarray:
    """Return where along the layers a ROI's similarity is concentrated.

    The mean layer number, 1 for the first, weighted by the similarity where it is positive.

    Parameters
    ----------
    similarities : float array (..., n_layers)

    Returns
    -------
    float array (...,)
        NaN where no layer is above zero: nothing to take a centre of.
    """
    weights = np.maximum(similarities, 0)
    total = weights.sum(axis=-1)
    numbers = np.arange(1, similarities.shape[-1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (weights * numbers).sum(axis=-1) / total, np.nan)
