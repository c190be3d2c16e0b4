"""Linear decoders of emotions.

A decoder is fitted to volumes (n, n_features) and codes of classes (n,), and returns what gives
probabilities to other volumes. Features are centred and scaled by the volumes that are learned
from, and options that are lists are chosen by the validation volumes, never by tested ones.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression, Ridge

from workflow.lib.errors import InputError

# Features (n, n_features) -> probabilities (n, n_classes).
Decoder = Callable[[np.ndarray], np.ndarray]
MAX_ITERATIONS = 1000
# Of the gradient; scores of tested volumes do not change below it.
TOLERANCE = 1e-4
# A variance below this share of the mean square is rounding of a constant.
CONSTANT = 1e-12
# Equations that are solved exactly; more, of voxels in many volumes, by iterations.
MOST_EQUATIONS = 5000


def fit_logistic(
    features: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    *,
    C: float = 1e-3,
    class_weight: str | None = None,
) -> Decoder:
    """Fit a multinomial logistic regression with a quadratic penalty.

    Parameters
    ----------
    features : float array (n, n_features)
    codes : int array (n,)
    n_classes : int
    C : float
        Inverse strength of the penalty, as scikit-learn has it.
    class_weight : "balanced" or None
        Whether rare classes weigh as much as frequent ones.

    References
    ----------
    Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, section 4.4.
    """
    model = LogisticRegression(
        C=C, class_weight=class_weight, max_iter=MAX_ITERATIONS, tol=TOLERANCE
    ).fit(features, codes)

    def predict(others: np.ndarray) -> np.ndarray:
        probabilities = np.zeros((len(others), n_classes))
        probabilities[:, model.classes_] = model.predict_proba(others)
        return probabilities

    return predict


def fit_linear(
    features: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    *,
    alpha: float = 1.0,
    class_weight: str | None = None,
) -> Decoder:
    """Fit least squares, with a ridge, to indicators of classes.

    The probabilities are the softmax of the predicted indicators: they order volumes and classes,
    and are not calibrated.

    Parameters
    ----------
    features : float array (n, n_features)
    codes : int array (n,)
    n_classes : int
    alpha : float
        Penalty, as scikit-learn's `Ridge` has it.
    class_weight : "balanced" or None

    References
    ----------
    Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, section 4.2.
    """
    weights = None
    if class_weight == "balanced":
        counts = np.bincount(codes, minlength=n_classes)
        weights = len(codes) / (np.count_nonzero(counts) * counts[codes])
    exact = min(features.shape) <= MOST_EQUATIONS
    model = Ridge(alpha=alpha, solver="cholesky" if exact else "lsqr")
    model.fit(features, np.eye(n_classes, dtype=features.dtype)[codes], sample_weight=weights)
    return lambda others: softmax(model.predict(others).astype(np.float64), axis=1)


# Kind of a model -> how it is fitted.
DECODERS: dict[str, Callable[..., Decoder]] = {"logistic": fit_logistic, "linear": fit_linear}


def fit_decoder(
    kind: str,
    options: Mapping[str, Any],
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    n_classes: int,
) -> Decoder:
    """Fit a decoder to standardised volumes of training and validation.

    Parameters
    ----------
    kind : str
        Key of `DECODERS`.
    options : mapping, option -> value, or list of values to choose from
        Chosen is what, learned from training volumes, gives validation volumes the highest
        likelihood.
    training, validation : pairs of a float array (n, n_features) and an int array (n,)
        Features, and codes of classes. There may be no validation volumes.
    n_classes : int

    Returns
    -------
    Decoder
        Of features as they are given here, not standardised.

    Raises
    ------
    InputError
        Options to choose from, and no volumes to choose by.
    """
    fit = DECODERS[kind]
    candidates = _combinations(options)
    best = candidates[0]
    if len(candidates) > 1:
        if not len(validation[1]):
            raise InputError(
                f"models: found lists of options ({', '.join(options)}) and no validation volumes, "
                "expected some to choose by; raise splits.validation_share, or give one value each"
            )
        losses = [
            _loss(_standardised(fit, *training, n_classes, c), *validation) for c in candidates
        ]
        best = candidates[int(np.argmin(losses))]
    features, codes = (np.concatenate(parts) for parts in zip(training, validation, strict=True))
    return _standardised(fit, features, codes, n_classes, best)


def _combinations(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = [value if isinstance(value, list) else [value] for value in options.values()]
    return [dict(zip(options, chosen, strict=True)) for chosen in itertools.product(*values)]


def _loss(decoder: Decoder, features: np.ndarray, codes: np.ndarray) -> float:
    likely = decoder(features)[np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(likely, np.finfo(np.float32).tiny)).mean())


def _standardised(
    fit: Callable[..., Decoder],
    features: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    options: Mapping[str, Any],
) -> Decoder:
    """Fit to features with mean 0 and variance 1 over the volumes learned from."""
    mean = features.mean(axis=0, dtype=np.float64)
    # Without a copy of the features in double precision, for which voxels are too many.
    squares = np.einsum("ij,ij->j", features, features, dtype=np.float64) / len(features)
    variance = squares - mean**2
    # A feature without variance tells nothing: it is centred, and stays as small as it is.
    scale = np.sqrt(np.where(variance > CONSTANT * squares, variance, 1))
    shift, factor = mean.astype(np.float32), (1 / scale).astype(np.float32)

    def standardise(values: np.ndarray) -> np.ndarray:
        scaled = values - shift
        scaled *= factor
        return scaled

    decoder = fit(standardise(features), codes, n_classes, **options)
    return lambda others: decoder(standardise(others))
