"""This project's engine."""

import numpy as np
import pandas as pd

from benchmarks.suite.inputs import (
    N_FOLDS,
    PENALTIES,
    RADIUS,
    SEED,
    VOLUMES_AT_ONCE,
    batches,
    n_scenes_of,
)
from scripts.emotions.data.timeseries import TimeSeries
from scripts.emotions.labelling.labels import Labels
from scripts.emotions.network.batches import batches as volume_batches
from scripts.emotions.network.movie_volumes import MovieVolumes
from scripts.reconstruction.decoders.ridge import RidgeSettings, fit_ridge
from workflow.lib.inference.bootstrap import bootstrap_ceilings, bootstrap_similarities
from workflow.lib.inference.jackknife import image_influence, linearised_draws
from workflow.lib.inference.permutation import permute_images
from workflow.lib.pairs.sampling import PairSet
from workflow.lib.rdms.distances import crossnobis_distances, pattern_distances
from workflow.lib.rdms.vectors import n_conditions
from workflow.lib.rdms.wide_patterns import standardise_channels, wide_distances
from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling as ceiling
from workflow.lib.searchlight.similarity import prepared_models, similarity_maps
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.searchlight.statistics import label_permutation_test

Arrays = dict[str, np.ndarray]


def _distances(arrays: Arrays, metric: str) -> Arrays:
    patterns = arrays["patterns"]
    return {"rdm": pattern_distances(patterns, metric, dtype=patterns.dtype)}


def correlation_rdm(arrays: Arrays, _units: int) -> Arrays:
    return _distances(arrays, "correlation")


def squared_distances(arrays: Arrays, _units: int) -> Arrays:
    return _distances(arrays, "sq_euclidean")


def cortex_rdms(arrays: Arrays, units: int) -> Arrays:
    # What is given is overwritten.
    responses = arrays["responses"][: n_scenes_of(units)].copy()
    return wide_distances(standardise_channels(responses), ("correlation", "euclidean"))


def pair_sampling(arrays: Arrays, units: int) -> Arrays:
    n_images = n_scenes_of(arrays["rdm"].size)
    pairs = PairSet.among(arrays["rdm"], n_images, np.arange(n_images))
    rng = np.random.default_rng(SEED)
    sums = [pairs.draw(rng, size)[2].sum(dtype=np.float64) for size in batches(units)]
    return {"mean": np.array([sum(sums) / units])}


def picture_ridge(arrays: Arrays, units: int) -> Arrays:
    voxels, pixels = arrays["voxels"], arrays["pixels"][:, :units]
    settings = RidgeSettings(PENALTIES, per_target=False, n_inner_folds=N_FOLDS)
    model = fit_ridge(voxels, pixels, np.arange(len(voxels)), settings, SEED)
    log_penalty = np.log10(model.best_alphas_[:1])
    return {"predicted": model.predict(arrays["new"]), "log_penalty": log_penalty}


def movie_batches(arrays: Arrays, units: int) -> Arrays:
    series = [TimeSeries(str(file)) for file in arrays["files"]]
    n_volumes = series[0].n_volumes("1")
    table = pd.DataFrame({"run": "1", "volume": np.arange(n_volumes)})
    volumes = MovieVolumes(series, Labels(table, ()), "a benchmark")
    middle = [
        n // 2 - side.start for n, side in zip(arrays["mask"].shape, volumes.box, strict=True)
    ]
    order = arrays["order"][:units]
    found = volume_batches(volumes, order // n_volumes, order % n_volumes, size=VOLUMES_AT_ONCE)
    seen = [
        (batch.sum(axis=(1, 2, 3), dtype=np.float64), batch[:, *middle].copy()) for batch in found
    ]
    sums, middles = map(np.concatenate, zip(*seen, strict=True))
    return {"sums": sums, "middles": middles}


def crossnobis(arrays: Arrays, _units: int) -> Arrays:
    return {"rdm": crossnobis_distances(arrays["runs"])}


def _table(arrays: Arrays, name: str, n_brains: int | None = None) -> Arrays:
    return {"table": compare(arrays["models"], arrays["brains"][:n_brains], name)}


def pearson_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "pearson")


def spearman_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "spearman")


def rho_a_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "rho-a")


def cosine_cov_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "cosine_cov")


def tau_a_table(arrays: Arrays, units: int) -> Arrays:
    return _table(arrays, "tau-a", units)


def noise_ceiling(arrays: Arrays, _units: int) -> Arrays:
    return {"ceiling": np.mean(ceiling(arrays["brains"], "pearson"), axis=1)}


def mantel(arrays: Arrays, units: int) -> Arrays:
    test = permute_images(
        arrays["models"],
        arrays["brains"],
        "pearson",
        n_images=n_conditions(arrays["models"].shape[1]),
        n_permutations=units,
        rng=np.random.default_rng(SEED),
    )
    return {"p": test.p}


def _bootstrap(arrays: Arrays, name: str, units: int) -> Arrays:
    counts = arrays["counts"][:units]
    n_images = counts.shape[1]
    draws = bootstrap_similarities(
        arrays["models"], arrays["subjects"], name, counts, n_images=n_images
    )
    ceilings = bootstrap_ceilings(arrays["subjects"], name, counts, n_images=n_images)
    # rsatoolbox returns means over subjects.
    return {"similarities": draws.mean(axis=2), "ceilings": np.mean(ceilings, axis=2).T}


def bootstrap_pearson(arrays: Arrays, units: int) -> Arrays:
    return _bootstrap(arrays, "pearson", units)


def bootstrap_spearman(arrays: Arrays, units: int) -> Arrays:
    return _bootstrap(arrays, "spearman", units)


def _jackknife(arrays: Arrays, name: str, units: int) -> Arrays:
    counts = arrays["counts"][:units]
    influence = image_influence(
        arrays["models"], arrays["subjects"], name, n_images=counts.shape[1]
    )
    # What the influence says of the resamples that the bootstrap draws.
    return _spread(linearised_draws(np.zeros(influence.shape[1:]), influence, counts))


def jackknife_pearson(arrays: Arrays, units: int) -> Arrays:
    return _jackknife(arrays, "pearson", units)


def jackknife_spearman(arrays: Arrays, units: int) -> Arrays:
    return _jackknife(arrays, "spearman", units)


def _bootstrap_spread(arrays: Arrays, name: str, units: int) -> Arrays:
    counts = arrays["counts"][:units]
    return _spread(
        bootstrap_similarities(
            arrays["models"], arrays["subjects"], name, counts, n_images=counts.shape[1]
        )
    )


def bootstrap_spread_pearson(arrays: Arrays, units: int) -> Arrays:
    return _bootstrap_spread(arrays, "pearson", units)


def bootstrap_spread_spearman(arrays: Arrays, units: int) -> Arrays:
    return _bootstrap_spread(arrays, "spearman", units)


def _spread(draws: np.ndarray) -> Arrays:
    # Differences of logarithms are relative.
    return {"log_standard_error": np.log(draws.std(axis=0))}


def _searchlight(arrays: Arrays) -> tuple[Searchlight, np.ndarray, np.ndarray]:
    mask = arrays["mask"]
    spheres = Searchlight(
        arrays["patterns"][:, mask],
        np.argwhere(mask),
        mask=mask,
        affine=np.eye(4),
        radius=RADIUS,
    )
    models = prepared_models(arrays["models"], "spearman")
    return spheres, models, similarity_maps(spheres, models, "spearman")


def searchlight(arrays: Arrays, units: int) -> Arrays:
    """Compute the whole map; results of its first centres."""
    _, _, maps = _searchlight(arrays)
    return {"map": maps.T[:units]}


def _label_permutation(arrays: Arrays, units: int, connectivity: int | None) -> Arrays:
    spheres, models, maps = _searchlight(arrays)
    test = label_permutation_test(
        spheres,
        models,
        "spearman",
        observed=maps,
        n_permutations=units,
        rng=np.random.default_rng(SEED),
        connectivity=connectivity,
    )
    return {"p": test.p, "p_max": test.p_max}


def label_permutation(arrays: Arrays, units: int) -> Arrays:
    return _label_permutation(arrays, units, None)


def label_permutation_tfce(arrays: Arrays, units: int) -> Arrays:
    return _label_permutation(arrays, units, 6)
