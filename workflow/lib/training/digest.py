"""What tells the data of a training from other data."""

import hashlib
from typing import Any

import numpy as np


def digest_of_arrays(*arrays: Any) -> str:
    """Return what tells arrays (or tensors on the CPU) from others: values, shapes and types.

    Parameters
    ----------
    *arrays : array or tensor of numbers or text
    """
    digest = hashlib.sha256()
    for each in arrays:
        values = np.ascontiguousarray(each)
        digest.update(f"{values.dtype.str}{values.shape}\0".encode())
        # Text has no buffer that hashlib takes.
        digest.update(values.view(np.uint8) if values.dtype.kind == "U" else values)
    return digest.hexdigest()
