"""Measures of how well a batch, or all of the data, is told apart."""

import torch
from torch import nn


def accuracy(logits: torch.Tensor, codes: torch.Tensor) -> float:
    """Return the share of rows (n, n_classes) whose largest logit is that of their class (n,)."""
    return (logits.argmax(1) == codes).float().mean().item()


def balanced_accuracy(logits: torch.Tensor, codes: torch.Tensor) -> float:
    """Return the mean over classes of the share of their rows that is told right.

    Classes without rows are left out.

    References
    ----------
    Brodersen et al. 2010, ICPR, doi:10.1109/ICPR.2010.764
    """
    right = (logits.argmax(1) == codes).double()
    shares = [right[codes == code].mean() for code in codes.unique()]
    return torch.stack(shares).mean().item()


def classified(
    logits: torch.Tensor, codes: torch.Tensor, weights: torch.Tensor | None = None
) -> dict[str, float]:
    """Return loss (cross-entropy) and accuracy of logits (n, n_classes), for classes (n,).

    Parameters
    ----------
    logits : float tensor (n, n_classes)
    codes : int tensor (n,)
    weights : float tensor (n_classes,), optional
        Of the classes in the loss.
    """
    loss = nn.functional.cross_entropy(logits, codes, weights).item()
    return {"loss": loss, "accuracy": accuracy(logits, codes)}
