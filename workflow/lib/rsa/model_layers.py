"""The layers of all models of a study, as the rows of one table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.rdms.store import RDMStore


class ModelLayers:
    """The RDMs of several models, grouped into layers.

    A layer of an untrained network has one RDM per seed, its members. A layer's similarity with a
    brain RDM is the mean of its members' similarities.

    Parameters
    ----------
    stores : sequence of RDMStore
        One per model, over the same images.

    Attributes
    ----------
    table : DataFrame (n_layers), columns model and layer
    layer_of_member : int array (n_members,)
        The row of `table` of each RDM, in the order of `vectors`.
    """

    def __init__(self, stores: Sequence[RDMStore]) -> None:
        self._stores = list(stores)
        members = pd.DataFrame(
            [
                {"model": store.descriptors["model"], "layer": labels["layer"]}
                for store in self._stores
                for labels in store.rows()
            ]
        )
        self.table = members.drop_duplicates(ignore_index=True)
        self.layer_of_member = pd.MultiIndex.from_frame(self.table).get_indexer(
            pd.MultiIndex.from_frame(members)
        )

    def vectors(self) -> np.ndarray:
        """Return the RDMs of all members, (n_members, n_pairs)."""
        return np.concatenate([store.vectors() for store in self._stores])

    def averaged(self, values: np.ndarray, axis: int = 0) -> np.ndarray:
        """Return the mean over each layer's members along an axis of length n_members."""
        if len(self.layer_of_member) == len(self.table):
            return values
        by_member = np.moveaxis(values, axis, 0)
        means = [by_member[self.layer_of_member == i].mean(axis=0) for i in range(len(self.table))]
        return np.moveaxis(np.stack(means), 0, axis)
