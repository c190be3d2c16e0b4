"""Reading results out of the layer x ROI tables (`rsa_<subject>.csv`)."""

from collections.abc import Mapping, Sequence

import pandas as pd

from workflow.lib.sources import MEAN_SESSION


def mean_session_rows(table: pd.DataFrame, comparator: str) -> pd.DataFrame:
    """Return the rows of one comparator and of the mean over sessions."""
    return table[(table["comparator"] == comparator) & (table["session"] == MEAN_SESSION)]


def model_rows(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return the rows of one model: places along layers mean something within a network only."""
    return table[table["model"] == model]


def rows_of_layers(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of models with several layers, or all rows where no model has several.

    For figures that draw layers as steps of a way: a control model beside a network is none.
    """
    several = _n_layers(table) > 1
    return table[several] if several.any() else table


def layer_names(table: pd.DataFrame) -> pd.Series:
    """Return what each row's layer is called within its model; an only one as the model is."""
    return table["layer"].where(_n_layers(table) > 1, table["model"])


def column_labels(table: pd.DataFrame) -> pd.Series:
    """Return what each row's layer is called: with its model, where another model shares a name."""
    names = layer_names(table)
    models_per_name = table.groupby(names)["model"].transform("nunique")
    return names.where(models_per_name == 1, table["model"] + " " + table["layer"])


def _n_layers(table: pd.DataFrame) -> pd.Series:
    """Return how many layers the model of each row has."""
    return table.groupby("model")["layer"].transform("nunique")


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
