"""What one model explains that others do not: partial correlation, and shares of the variance."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workflow.lib.config.inference import PARTIAL_COMPARATORS
from workflow.lib.errors import InputError
from workflow.lib.rsa.comparators import dot_products, prepare

# From which sides of the comparison the controls are removed: models, brains.
KINDS = {"partial": (True, True), "semi-partial": (True, False)}
MOST_MODELS = 4
# An RDM of length one is explained by others if what they leave of it is no longer than this:
# rounding of float32 dissimilarities leaves as much.
COLLINEAR = 1e-5


def partial_prepare(
    models: np.ndarray,
    brains: np.ndarray,
    controls: np.ndarray,
    name: str,
    *,
    kind: str = "partial",
    model_names: Sequence[str] | None = None,
    brain_names: Sequence[str] | None = None,
    control_names: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of which the dot products are (semi-)partial correlations.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    controls : float array (n_controls, n_pairs)
    name : "pearson" or "spearman"
        Of the dissimilarities, or of their ranks, controls included.
    kind : "partial" or "semi-partial"
        Whether the controls are removed from models and brains, or from models only. The square
        of a semi-partial correlation is what a model adds to the R^2 of the controls.
    model_names, brain_names, control_names : sequences of str, optional
        What errors call them; their numbers if not given.

    Returns
    -------
    left : array (n_models, n_pairs), dtype of `models`
    right : array (n_brains, n_pairs), dtype of `brains`

    Raises
    ------
    InputError
        Controls that explain one another, or a model or brain RDM that the controls explain.

    Notes
    -----
    The residuals of the regression on the controls and a constant, scaled to length one; for a
    semi-partial correlation brain RDMs are centred and scaled only. Given to
    `workflow.lib.inference.permutation.permute_prepared`, the models' residuals are relabelled: an
    approximate test, as residuals of one order of the images are not those of another.

    References
    ----------
    Legendre 2000, Comparison of permutation methods for the partial correlation and partial
    Mantel tests, J Stat Comput Simul 67:37.
    """
    _check_choice("comparator", name, PARTIAL_COMPARATORS)
    _check_choice("kind of partial correlation", kind, tuple(KINDS))
    names = _named(control_names, len(controls), "control")
    basis = _orthonormal(prepare(controls, name), names)
    model_names = _named(model_names, len(models), "model")
    brain_names = _named(brain_names, len(brains), "brain RDM")
    sides = [(models, model_names), (brains, brain_names)]
    return tuple(
        _residuals(prepare(vectors, name), basis, labels, names)
        if remove
        else prepare(vectors, name)
        for (vectors, labels), remove in zip(sides, KINDS[kind], strict=True)
    )


def _check_choice(what: str, found: str, expected: Sequence[str]) -> None:
    if found not in expected:
        raise InputError(f"found the {what} {found!r}, expected one of {', '.join(expected)}")


def _named(names: Sequence[str] | None, n: int, what: str) -> list[str]:
    return [f"{what} {i + 1}" for i in range(n)] if names is None else list(names)


def _residuals(
    prepared: np.ndarray, basis: np.ndarray, names: Sequence[str], controls: Sequence[str]
) -> np.ndarray:
    """Overwrite prepared vectors with what the controls leave of them, of length one."""
    for row, vector in enumerate(prepared):
        rest, length = _rest(vector.astype(np.float64), basis)
        if length <= COLLINEAR:
            raise _explained(names[row], controls, "leave it out, or a control")
        prepared[row] = rest / length
    return prepared


def _rest(vector: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what is left of a vector beside an orthonormal basis, and its length."""
    for _ in range(2):  # rounding of the first time is removed by the second
        vector = vector - (basis @ vector) @ basis
    return vector, float(np.sqrt(vector @ vector))


def _orthonormal(prepared: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return an orthonormal basis of vectors of length one, float64 (n, n_pairs).

    Raises
    ------
    InputError
        A vector that those before it explain; both are named.
    """
    basis = np.empty(prepared.shape)
    for row, vector in enumerate(prepared):
        rest, length = _rest(vector.astype(np.float64), basis[:row])
        if length <= COLLINEAR:
            coefficients = np.linalg.lstsq(
                dot_products(prepared[:row], prepared[:row]),
                dot_products(prepared[:row], prepared[[row]])[:, 0],
            )[0]
            explaining = [names[i] for i in np.flatnonzero(np.abs(coefficients) > 1e-3)]
            raise _explained(names[row], explaining, "leave one of them out")
        basis[row] = rest / length
    return basis


def _explained(name: str, by: Sequence[str], remedy: str) -> InputError:
    verb = "explains" if len(by) == 1 else "explain"
    return InputError(
        f"found that {' and '.join(by)} {verb} all of {name}, expected something of its own in "
        f"each RDM; {remedy}"
    )


@dataclass(frozen=True)
class VariancePartition:
    """Shares of the variance of brain RDMs that sets of models explain.

    Attributes
    ----------
    sets : list of tuples of str
        Every choice of one or more models.
    r_squared : float64 array (n_sets, n_brains)
        R^2 of the regression on the set.
    components : float64 array (n_sets, n_brains)
        The part of R^2 that just this set has in common: for one model what it explains alone, for
        several what each of them, and no other, could explain. They sum to R^2 of all models, and
        may be negative where models suppress each other's noise.
    """

    sets: list[tuple[str, ...]]
    r_squared: np.ndarray
    components: np.ndarray


def partition_variance(
    models: np.ndarray, brains: np.ndarray, name: str, *, model_names: Sequence[str]
) -> VariancePartition:
    """Return the unique and the shared contributions of up to four models to each brain RDM.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    name : "pearson" or "spearman"
        Regression of the dissimilarities, or of their ranks.
    model_names : sequence of n_models str

    Returns
    -------
    VariancePartition

    Raises
    ------
    InputError
        More than four models, models that explain one another, or too few dissimilarities.

    Notes
    -----
    With U the models outside a set A, the component of A is the sum over its subsets T (none and
    all of A included) of (-1)^(|T| + 1) R^2(U and T).

    References
    ----------
    Seibold & McPhee 1979, Commonality analysis, Hum Commun Res 5:355;
    Groen et al. 2018, eLife 7:e32962 (for RDMs).
    """
    _check_choice("comparator", name, PARTIAL_COMPARATORS)
    n_models, n_pairs = models.shape
    if n_models > MOST_MODELS or n_pairs < n_models + 2:
        raise InputError(
            f"found {n_models} models and {n_pairs} dissimilarities, expected at most "
            f"{MOST_MODELS} models and two dissimilarities more than models; take fewer models"
        )
    prepared = prepare(models, name)
    basis = _orthonormal(prepared, model_names)
    # All regressions take place within the space of the models.
    model_places, targets = dot_products(prepared, basis), prepare(brains, name)
    brain_places = dot_products(targets, basis)
    lengths = np.einsum("ij,ij->i", targets, targets, dtype=np.float64)
    sets = _sets(n_models)
    shares = {(): np.zeros(len(brains))}
    for chosen in sets:
        axes, _ = np.linalg.qr(model_places[list(chosen)].T)
        shares[chosen] = ((brain_places @ axes) ** 2).sum(axis=1) / lengths
    return VariancePartition(
        sets=[tuple(model_names[i] for i in chosen) for chosen in sets],
        r_squared=np.stack([shares[chosen] for chosen in sets]),
        components=_components(shares, sets),
    )


def correlation_shares(among: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return R^2 and components of every set of models, from correlations alone.

    For resamples, of which the correlations are known and the RDMs are not.

    Parameters
    ----------
    among : float array (..., n_models, n_models)
        Correlations of the models with one another.
    across : float array (..., n_models, n_brains)
        Correlations of the models with brain RDMs.

    Returns
    -------
    r_squared, components : float64 arrays (..., n_sets, n_brains)
        Sets and components as in `partition_variance`. NaN where a correlation is, or where models
        explain one another.

    Notes
    -----
    R^2 of a set with correlations C among its models and c with a brain RDM is c' C^-1 c.
    """
    sets = _sets(among.shape[-1])
    shares = {(): np.zeros((*across.shape[:-2], across.shape[-1]))}
    for chosen in sets:
        rows = list(chosen)
        within, to_brains = among[..., rows, :][..., rows], across[..., rows, :]
        with np.errstate(invalid="ignore"):
            solvable = np.linalg.det(within) > COLLINEAR**2
        safe = np.where(solvable[..., np.newaxis, np.newaxis], within, np.eye(len(rows)))
        share = (to_brains * np.linalg.solve(safe, to_brains)).sum(axis=-2)
        shares[chosen] = np.where(solvable[..., np.newaxis], share, np.nan)
    r_squared = np.stack([shares[chosen] for chosen in sets], axis=-2)
    return r_squared, np.moveaxis(_components(shares, sets), 0, -2)


def _sets(n_models: int) -> list[tuple[int, ...]]:
    """Return every choice of one or more models, smaller ones first."""
    return [
        chosen
        for size in range(1, n_models + 1)
        for chosen in itertools.combinations(range(n_models), size)
    ]


def _components(
    shares: dict[tuple[int, ...], np.ndarray], sets: Sequence[tuple[int, ...]]
) -> np.ndarray:
    """Return what just the models of each set share, (n_sets, ..., n_brains)."""
    everything = sets[-1]
    return np.stack(
        [
            sum(
                (-1) ** (size + 1)
                * shares[tuple(i for i in everything if i not in chosen or i in included)]
                for size in range(len(chosen) + 1)
                for included in itertools.combinations(chosen, size)
            )
            for chosen in sets
        ]
    )
