"""Batches of volumes for a network: the next ones are read while it works on one."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from scripts.emotions.network.movie_volumes import MovieVolumes


def batches(
    volumes: MovieVolumes,
    subjects: np.ndarray,
    rows: np.ndarray,
    *,
    size: int,
    n_ahead: int = 2,
) -> Iterator[np.ndarray]:
    """Yield volumes in the order given, batch by batch; a thread reads ahead.

    Besides the batch that was yielded, `n_ahead` are held and no more, however many volumes there
    are.

    Parameters
    ----------
    volumes : MovieVolumes
    subjects : int array (n,)
        Numbers of subjects.
    rows : int array (n,)
        Of the table of labels.
    size : int
        Volumes of a batch; the last has what is left.
    n_ahead : int
        Batches that are read before they are asked for.

    Yields
    ------
    float32 array (size, x, y, z)
    """
    starts = iter(range(0, len(rows), size))
    waiting: deque[Future[np.ndarray]] = deque()
    # One thread: HDF5 serves one at a time.
    with ThreadPoolExecutor(1) as pool:

        def read_next() -> None:
            for start in starts:
                some = slice(start, start + size)
                waiting.append(pool.submit(volumes.read, subjects[some], rows[some]))
                return

        try:
            for _ in range(n_ahead):
                read_next()
            while waiting:
                batch = waiting.popleft().result()
                read_next()
                yield batch
        finally:
            # Whoever stops early waits for no more than the batch that is being read.
            pool.shutdown(cancel_futures=True)
