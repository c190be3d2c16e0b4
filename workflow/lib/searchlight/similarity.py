"""How much the RDM of every sphere resembles models, with controls taken off or without.

Nothing grows with the brain but the maps themselves.
"""

import logging
from collections.abc import Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rsa.comparators import prepare
from workflow.lib.searchlight.kernels import fill_products
from workflow.lib.searchlight.sphere_rdms import CORRELATIONS, Searchlight, scaling_of
from workflow.lib.threads import in_slices

log = logging.getLogger("workflow")

# RDMs that one thread multiplies at a time.
RDMS_AT_ONCE = 512
# The threads of a matrix library keep a core busy for a while after each product, and spheres wait
# for: with no more models than this the product is done by the threads of the spheres.
FEW_MODELS = 64
# What is left of a unit vector after others are taken off it, when it is made up of them.
COLLINEAR = 1e-6


def prepared_models(models: np.ndarray, comparator: str) -> np.ndarray:
    """Return model RDMs whose dot products with prepared spheres are similarities.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    comparator : one of `workflow.lib.searchlight.sphere_rdms.COMPARATORS`

    Returns
    -------
    float64 array (n_models, n_pairs)
    """
    scaling_of(comparator)
    return prepare(np.atleast_2d(models).astype(np.float64), comparator)


def control_basis(controls: np.ndarray, comparator: str, names: Sequence[str]) -> np.ndarray:
    """Return orthonormal vectors that span the control models of a partial correlation.

    Parameters
    ----------
    controls : float array (n_controls, n_pairs)
    comparator : "pearson" or "spearman"
    names : sequence of n_controls str

    Returns
    -------
    float64 array (n_controls, n_pairs)

    Raises
    ------
    InputError
        A comparator that is no correlation; a control that the ones before it make up.
    """
    if comparator not in CORRELATIONS:
        raise InputError(
            f"found control models with the comparator {comparator!r}, expected one of "
            f"{', '.join(CORRELATIONS)}: only a correlation can be partial; choose another"
        )
    prepared = prepared_models(controls, comparator)
    basis, triangle = np.linalg.qr(prepared.T)
    collinear = np.flatnonzero(np.abs(np.diagonal(triangle)) < COLLINEAR)
    if collinear.size:
        raise InputError(
            f"found the control model {names[collinear[0]]!r} made up of the others, expected "
            "controls that are not collinear; leave it out"
        )
    return basis.T


def without_controls(models: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return what is left of prepared models without the controls, of unit length.

    Parameters
    ----------
    models : float64 array (n_models, n_pairs)
    basis : float64 array (n_controls, n_pairs)

    Returns
    -------
    float64 array (n_models, n_pairs); zero for a model that the controls make up
    """
    left = models - (models @ basis.T) @ basis
    lengths = np.linalg.norm(left, axis=1, keepdims=True)
    return np.where(lengths < COLLINEAR, 0.0, left / np.maximum(lengths, COLLINEAR))


def similarities(
    models: np.ndarray, brains: np.ndarray, basis: np.ndarray | None = None
) -> np.ndarray:
    """Return the similarity of prepared models with prepared RDMs of spheres.

    Parameters
    ----------
    models : float64 array (n_models, n_pairs)
        From `prepared_models`; with controls, from `without_controls`.
    brains : float64 array (n, n_pairs)
    basis : float64 array (n_controls, n_pairs), optional
        The controls of a partial correlation.

    Returns
    -------
    float64 array (n_models, n)

    Notes
    -----
    With m the model without the controls Q and b the prepared RDM, both of unit length, the partial
    correlation is m . b / sqrt(1 - |Q b|^2): RDMs of spheres need not be changed.
    """
    products = _products(models, brains)
    if basis is None:
        return products
    left = 1 - np.square(_products(basis, brains)).sum(axis=0)
    # Nothing is left of an RDM that the controls make up, and nothing agrees with it.
    return np.where(left > COLLINEAR**2, products / np.sqrt(np.maximum(left, COLLINEAR**2)), 0.0)


def _products(models: np.ndarray, brains: np.ndarray) -> np.ndarray:
    if len(models) > FEW_MODELS:
        return models @ brains.T
    products = np.empty((len(models), len(brains)))

    def fill(part: slice) -> None:
        fill_products(models, brains[part], products[:, part])

    in_slices(fill, len(brains), RDMS_AT_ONCE)
    return products


def similarity_maps(
    searchlight: Searchlight,
    models: np.ndarray,
    comparator: str,
    *,
    basis: np.ndarray | None = None,
    progress: str | None = None,
) -> np.ndarray:
    """Return the similarity of every model with the RDM of every sphere.

    Parameters
    ----------
    searchlight : Searchlight
    models : float64 array (n_models, n_pairs)
        From `prepared_models`; with controls, from `without_controls`.
    comparator : one of `workflow.lib.searchlight.sphere_rdms.COMPARATORS`
    basis : float64 array (n_controls, n_pairs), optional
        From `control_basis`.
    progress : str, optional
        Title of a progress bar.

    Returns
    -------
    float64 array (n_models, n_centres), NaN where a centre has no RDM

    References
    ----------
    Kriegeskorte, Goebel & Bandettini 2006, Information-based functional brain mapping, PNAS
    103:3863; Nili et al. 2014, PLoS Comput Biol 10:e1003553.
    """
    if models.shape[1] != searchlight.n_pairs:
        raise InputError(
            f"found model RDMs of {models.shape[1]} pairs, expected {searchlight.n_pairs} for "
            f"{searchlight.n_conditions} conditions; give the models over the same conditions"
        )
    maps = np.full((len(models), searchlight.n_centres), np.nan)
    for centres, brains in searchlight.prepared_blocks(comparator, progress=progress):
        maps[:, centres] = similarities(models, brains, basis)
    lost = searchlight.computed.size - int(np.isfinite(maps[0]).sum())
    if lost:
        log.info("searchlight: %d centres with a constant pattern or RDM are NaN", lost)
    return maps
