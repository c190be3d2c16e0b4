"""NumPy: what a careful user writes in a few lines."""

import numpy as np

from benchmarks.suite.inputs import SEED, batches, n_scenes_of

Arrays = dict[str, np.ndarray]


def correlation_rdm(arrays: Arrays, _units: int) -> Arrays:
    patterns = arrays["patterns"]
    return {"rdm": 1 - np.corrcoef(patterns)[np.triu_indices(len(patterns), 1)]}


def squared_distances(arrays: Arrays, _units: int) -> Arrays:
    patterns = arrays["patterns"]
    squares = (patterns**2).sum(axis=1)
    square = squares[:, np.newaxis] + squares - 2 * patterns @ patterns.T
    return {"rdm": square[np.triu_indices(len(patterns), 1)]}


def cortex_rdms(arrays: Arrays, units: int) -> Arrays:
    responses = arrays["responses"][: n_scenes_of(units)].astype(np.float64)
    standardised = {"patterns": (responses - responses.mean(axis=0)) / responses.std(axis=0)}
    return {
        "correlation": correlation_rdm(standardised, units)["rdm"],
        "euclidean": np.sqrt(squared_distances(standardised, units)["rdm"]),
    }


def pair_sampling(arrays: Arrays, units: int) -> Arrays:
    # A list of all pairs, from which batches are drawn.
    first, second = np.triu_indices(n_scenes_of(arrays["rdm"].size), 1)
    rng, total = np.random.default_rng(SEED), 0.0
    for size in batches(units):
        drawn = rng.integers(first.size, size=size)
        turned = rng.random(size) < 0.5
        _left = np.where(turned, second[drawn], first[drawn])
        _right = np.where(turned, first[drawn], second[drawn])
        total += arrays["rdm"][drawn].sum(dtype=np.float64)
    return {"mean": np.array([total / units])}


def pearson_table(arrays: Arrays, _units: int) -> Arrays:
    models, brains = arrays["models"], arrays["brains"]
    return {"table": np.corrcoef(models, brains)[: len(models), len(models) :]}


def mantel(arrays: Arrays, units: int) -> Arrays:
    """Relabel the images of the models, and correlate anew, `units` times."""
    models, brains = arrays["models"], arrays["brains"]
    n = (1 + int(np.sqrt(1 + 8 * models.shape[1]))) // 2
    upper = np.triu_indices(n, 1)
    squares = np.zeros((len(models), n, n))
    squares[:, *upper] = models
    squares += squares.transpose(0, 2, 1)
    centred = brains - brains.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)

    def similarities(order: np.ndarray) -> np.ndarray:
        relabelled = squares[:, *np.ix_(order, order)][:, *upper]
        # The mean and the length of a model's RDM do not depend on the order.
        return relabelled @ centred.T

    observed = similarities(np.arange(n))
    rng = np.random.default_rng(SEED)
    reached = sum(similarities(rng.permutation(n)) >= observed for _ in range(units))
    return {"p": (reached + 1) / (units + 1)}
