"""Random numbers: one seed in the config, one independent stream per purpose."""

import hashlib

import numpy as np


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """Return the generator of a purpose, for example `generator(seed, "mantel", study, subject)`.

    Streams of different purposes are independent, and none changes when another is added.
    """
    digest = hashlib.sha256("\0".join(purpose).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])
