"""rsatoolbox: the reference for every number, through its own documented functions."""

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.inference import boot_noise_ceiling, eval_bootstrap_pattern, eval_fixed
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs, calc_rdm, compare
from rsatoolbox.util.searchlight import (
    evaluate_models_searchlight,
    get_searchlight_RDMs,
    get_volume_searchlight,
)

from benchmarks.suite.inputs import RADIUS_OPEN, SEED, n_scenes_of

Arrays = dict[str, np.ndarray]


def correlation_rdm(arrays: Arrays, _units: int) -> Arrays:
    return {"rdm": calc_rdm(Dataset(arrays["patterns"]), method="correlation").dissimilarities[0]}


def squared_distances(arrays: Arrays, _units: int) -> Arrays:
    patterns = arrays["patterns"]
    means = calc_rdm(Dataset(patterns), method="euclidean").dissimilarities[0]
    # rsatoolbox divides by the number of channels.
    return {"rdm": means * patterns.shape[1]}


def cortex_rdms(arrays: Arrays, units: int) -> Arrays:
    responses = arrays["responses"][: n_scenes_of(units)].astype(np.float64)
    standardised = {"patterns": (responses - responses.mean(axis=0)) / responses.std(axis=0)}
    return {
        "correlation": correlation_rdm(standardised, units)["rdm"],
        "euclidean": np.sqrt(squared_distances(standardised, units)["rdm"]),
    }


def crossnobis(arrays: Arrays, _units: int) -> Arrays:
    n_runs, n_images, n_voxels = arrays["runs"].shape
    dataset = Dataset(
        arrays["runs"].reshape(-1, n_voxels),
        obs_descriptors={
            "image": np.tile(np.arange(n_images), n_runs),
            "run": np.repeat(np.arange(n_runs), n_images),
        },
    )
    rdm = calc_rdm(dataset, method="crossnobis", descriptor="image", cv_descriptor="run")
    return {"rdm": rdm.dissimilarities[0]}


def _table(arrays: Arrays, method: str) -> Arrays:
    return {"table": compare(RDMs(arrays["models"]), RDMs(arrays["brains"]), method)}


def pearson_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "corr")


def spearman_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "spearman")


def rho_a_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "rho-a")


def cosine_cov_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "cosine_cov")


def tau_a_table(arrays: Arrays, units: int) -> Arrays:
    brains = RDMs(arrays["brains"][:units])
    return {"table": compare(RDMs(arrays["models"]), brains, "tau-a")}


def noise_ceiling(arrays: Arrays, _units: int) -> Arrays:
    return {"ceiling": np.array(boot_noise_ceiling(RDMs(arrays["brains"]), method="corr"))}


def _bootstrap(arrays: Arrays, method: str, units: int) -> Arrays:
    models = [ModelFixed(str(row), vector) for row, vector in enumerate(arrays["models"])]
    np.random.seed(SEED)  # noqa: NPY002
    result = eval_bootstrap_pattern(models, RDMs(arrays["subjects"]), method=method, N=units)
    return {"similarities": result.evaluations, "ceilings": result.noise_ceiling.T}


def bootstrap_pearson(arrays: Arrays, units: int) -> Arrays:
    return _bootstrap(arrays, "corr", units)


def bootstrap_spearman(arrays: Arrays, units: int) -> Arrays:
    return _bootstrap(arrays, "spearman", units)


def searchlight(arrays: Arrays, units: int) -> Arrays:
    mask, patterns = arrays["mask"], arrays["patterns"]
    n_conditions = len(patterns)
    centres, neighbours = get_volume_searchlight(
        mask, radius=RADIUS_OPEN, threshold=0, truncate_at_boundary=True
    )
    rdms = get_searchlight_RDMs(
        patterns.reshape(n_conditions, -1),
        centres[:units],
        neighbours[:units],
        np.arange(n_conditions),
        verbose=False,
    )
    models = [ModelFixed(str(row), vector) for row, vector in enumerate(arrays["models"])]
    results = evaluate_models_searchlight(rdms, models, eval_fixed, method="spearman")
    return {"map": np.stack([result.evaluations[0, :, 0] for result in results])}
