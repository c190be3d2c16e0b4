"""Batches come in their order, whoever reads them; few are held at a time."""

import threading

import numpy as np
import pandas as pd
import pytest

from scripts.emotions.data.timeseries import TimeSeries, write_timeseries
from scripts.emotions.labelling.labels import Labels
from scripts.emotions.network.batches import batches
from scripts.emotions.network.movie_volumes import MovieVolumes

N_SUBJECTS, N_VOLUMES = 3, 20


class Numbers:
    """Volumes of one voxel, which hold their subject and row; counts what was read."""

    shape = (1, 1, 1)

    def __init__(self):
        self.n_read = 0

    def read(self, subjects, rows):
        self.n_read += 1
        return (1000 * subjects + rows).astype(np.float32).reshape(-1, 1, 1, 1)


def order(n=70, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 9, n), rng.permutation(n)


@pytest.mark.parametrize("n_ahead", [1, 2, 100])
@pytest.mark.parametrize("n", [0, 1, 16, 70])
def test_batches_come_in_order_and_the_last_has_what_is_left(n, n_ahead):
    subjects, rows = order(n)
    found = list(batches(Numbers(), subjects, rows, size=16, n_ahead=n_ahead))
    assert [len(batch) for batch in found] == [16] * (n // 16) + [n % 16] * (n % 16 > 0)
    np.testing.assert_array_equal(
        np.concatenate([np.zeros(0), *(batch.ravel() for batch in found)]), 1000 * subjects + rows
    )


def test_no_more_is_read_than_asked_for_and_ahead():
    volumes = Numbers()
    for number, _ in enumerate(batches(volumes, *order(), size=7, n_ahead=2), 1):
        assert volumes.n_read <= number + 2


def test_whoever_stops_early_leaves_no_thread():
    before = threading.active_count()
    reading = batches(Numbers(), *order(), size=7)
    next(reading)
    reading.close()
    assert threading.active_count() == before


def test_what_goes_wrong_while_reading_is_told():
    class Broken(Numbers):
        def read(self, subjects, rows):
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        next(batches(Broken(), *order(), size=7))


def test_volumes_of_several_subjects_are_those_that_were_asked_for(tmp_path):
    """A volume holds subject, run, volume and voxel."""
    mask = np.random.default_rng(1).random((4, 5, 6)) < 0.4
    voxels = np.flatnonzero(mask)
    for subject in range(N_SUBJECTS):
        runs = {
            run: 1e5 * subject + 1e4 * int(run) + 200 * np.arange(N_VOLUMES)[:, None] + voxels
            for run in ("1", "2")
        }
        description = {"mask": mask, "affine": np.eye(4), "aligned": True}
        path = tmp_path / f"{subject}.h5"
        write_timeseries(path, runs, subject=str(subject), tr=2.0, **description)
    table = pd.DataFrame(
        {"run": np.repeat(["1", "2"], N_VOLUMES), "volume": np.tile(np.arange(N_VOLUMES), 2)}
    )
    table = table.assign(time=0.0, used=True, label="", agreement=0, episode=-1)
    series = [TimeSeries(tmp_path / f"{subject}.h5") for subject in range(N_SUBJECTS)]
    volumes = MovieVolumes(series, Labels(table, ("FEAR",)), "a test")
    rng = np.random.default_rng(2)
    subjects, rows = rng.integers(0, N_SUBJECTS, 50), rng.integers(0, 2 * N_VOLUMES, 50)
    found = np.concatenate(list(batches(volumes, subjects, rows, size=8)))
    runs, moments = rows // N_VOLUMES + 1, rows % N_VOLUMES
    expected = 1e5 * subjects + 1e4 * runs + 200 * moments
    whole = np.zeros((50, *mask.shape), dtype=np.float32)
    whole[:, mask] = expected[:, np.newaxis] + voxels
    np.testing.assert_array_equal(found, whole[:, *volumes.box])
