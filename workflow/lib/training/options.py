"""What can be said of the training of any network."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class TrainingOptions:
    """How a network is trained; base of the options of a study.

    Attributes
    ----------
    n_epochs : int
    batch : int
        Examples of a step.
    learning_rate, weight_decay : float
        Of AdamW, with decoupled decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
    patience : int or None
        Epochs without a better validation before training stops; None for never. Wherever there
        is data to validate on, the weights of the best epoch are kept.
    precision : "float32", "bfloat16" or "float16"
        Of training on a GPU.
    save_every : float
        Seconds between checkpoints, from which a run that is cut short goes on. Results do not
        depend on it.
    """

    n_epochs: int = 10
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    patience: int | None = None
    precision: str = "float32"
    save_every: float = 60.0
