"""Fits of a job that was cut short: those that had ended are read, the one that had not goes on."""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.files import written_whole
from workflow.lib.training.history import COLUMNS

# Fits of fewer seconds are sooner done again than kept.
SAVE_AFTER = 2.0


@dataclass(frozen=True)
class Outcome:
    """What is needed of a fit.

    Attributes
    ----------
    predicted : mapping of split to float64 array (n_pairs,), in the order of its test pairs
    asymmetries : mapping of split to the largest |f(a, b) - f(b, a)|
    history : DataFrame with the columns `COLUMNS` of `workflow.lib.training.history`, or None
    """

    predicted: Mapping[str, np.ndarray]
    asymmetries: Mapping[str, float]
    history: pd.DataFrame | None


class FinishedFits:
    """Outcomes of fits, in a folder that is removed once the results are safe.

    Parameters
    ----------
    folder : Path
    key : str
        Of all that every fit depends on beside its purpose: outcomes of other keys are not found.
    save_after : float
        Seconds.
    """

    def __init__(self, folder: Path, key: str, save_after: float = SAVE_AFTER) -> None:
        self.folder, self.key, self.save_after = folder, key, save_after

    def get(self, purpose: str, fit: Callable[[Path], Outcome]) -> Outcome:
        """Return the outcome of a fit, made if there is none.

        Parameters
        ----------
        purpose : str
            Differs between fits.
        fit : function
            Takes the path of a checkpoint, which it may leave behind.
        """
        stem = hashlib.sha256(f"{self.key}\0{purpose}".encode()).hexdigest()[:32]
        path = self.folder / f"{stem}.npz"
        if path.exists():
            return _read(path)
        # PyTorch writes a checkpoint itself, into a folder that has to be there.
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = self.folder / f"{stem}.checkpoint"
        begun = time.monotonic()
        outcome = fit(checkpoint)
        if time.monotonic() - begun >= self.save_after:
            _write(path, outcome)
        checkpoint.unlink(missing_ok=True)
        return outcome

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _write(path: Path, outcome: Outcome) -> None:
    arrays = {f"predicted {split}": values for split, values in outcome.predicted.items()}
    arrays |= {f"asymmetry {split}": np.array(v) for split, v in outcome.asymmetries.items()}
    if outcome.history is not None:
        for name in COLUMNS:
            column = outcome.history[name]
            # Text of a fixed width: that of Python objects would have to be pickled.
            arrays[f"history {name}"] = column.to_numpy(None if column.dtype.kind in "if" else str)
    with written_whole(path) as temporary:
        np.savez(temporary, **arrays)


def _read(path: Path) -> Outcome:
    with np.load(path, allow_pickle=False) as file:
        parts: dict[str, dict[str, np.ndarray]] = {"predicted": {}, "asymmetry": {}, "history": {}}
        for name, values in file.items():
            kind, _, label = name.partition(" ")
            parts[kind][label] = values
    return Outcome(
        parts["predicted"],
        {split: float(value) for split, value in parts["asymmetry"].items()},
        pd.DataFrame(parts["history"]) if parts["history"] else None,
    )
