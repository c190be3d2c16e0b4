"""scipy: distances and rank correlations as most scripts compute them."""

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr, zscore

from benchmarks.suite.inputs import n_scenes_of

Arrays = dict[str, np.ndarray]


def correlation_rdm(arrays: Arrays, _units: int) -> Arrays:
    return {"rdm": pdist(arrays["patterns"], "correlation")}


def squared_distances(arrays: Arrays, _units: int) -> Arrays:
    return {"rdm": pdist(arrays["patterns"], "sqeuclidean")}


def cortex_rdms(arrays: Arrays, units: int) -> Arrays:
    responses = zscore(arrays["responses"][: n_scenes_of(units)].astype(np.float64))
    return {metric: pdist(responses, metric) for metric in ("correlation", "euclidean")}


def spearman_table(arrays: Arrays, _units: int) -> Arrays:
    models, brains = arrays["models"], arrays["brains"]
    among = spearmanr(np.concatenate([models, brains]), axis=1).statistic
    return {"table": among[: len(models), len(models) :]}
