"""Parcel time series of the movie, as published: what they are, and what they are known for.

Raw files: github.com/psychoinformatics-de/studyforrest-data-aggregate, shen_fconn.
"""

import numpy as np
import pytest

from scripts.emotions.data.prepare_parcels import common_parcels, prepare_parcels
from scripts.emotions.data.timeseries import TimeSeries, require_aligned

pytestmark = pytest.mark.realdata

SUBJECTS = ("01", "02", "03", "04", "05", "06", "09", "10")
# From the lengths of the published runs.
N_VOLUMES = dict(zip("12345678", (451, 441, 438, 488, 462, 439, 542, 338), strict=True))
FILE = "sub-{0}/shen_fconn/sub-{0}_task-avmovie_run-{1}_bold.csv"


@pytest.fixture(scope="module")
def files(mirror):
    folder = mirror / "studyforrest" / "aggregate"
    if not folder.is_dir():
        pytest.skip(f"no folder studyforrest/aggregate among the real raw files at {mirror}")
    return {
        subject: {run: folder / FILE.format(subject, run) for run in N_VOLUMES}
        for subject in SUBJECTS
    }


@pytest.fixture(scope="module")
def series(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parcels")
    every = [path for runs in files.values() for path in runs.values()]
    for subject, runs in files.items():
        prepare_parcels(
            folder / f"{subject}.h5",
            runs,
            subject=subject,
            tr=2.0,
            n_volumes=N_VOLUMES,
            all_files=every,
            standardise=False,
        )
    return [TimeSeries(folder / f"{subject}.h5") for subject in SUBJECTS]


def test_all_subjects_have_267_parcels_in_common(files, series):
    every = [path for runs in files.values() for path in runs.values()]
    assert len(common_parcels(every)) == 267
    # Of the atlas of Shen et al. (2013), which has 278 with the numbering from 1.
    names = [int(name) for name in series[0].names]
    assert names == sorted(names)
    assert set(names) <= set(range(1, 279))
    require_aligned(series, "decoding")


def test_runs_have_the_volumes_of_the_movie(series):
    for one in series:
        assert [one.n_volumes(run) for run in one.runs] == list(N_VOLUMES.values())


def test_parcels_are_standardised_already(series):
    for one in series:
        for run, n_volumes in N_VOLUMES.items():
            values = one.rows(run, range(n_volumes)).astype(np.float64)
            np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-6)
            np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-6)


def test_subjects_share_their_responses_to_the_movie(series):
    """Correlations between subjects at the same time, and not at another.

    An independent computation with pandas gives a median of 0.07 over parcels, and 0.32 at the 95th
    percentile (Hasson et al. 2004, Science 303:1634, on the phenomenon).
    """
    run, n_volumes = "4", N_VOLUMES["4"]
    values = np.stack([one.rows(run, range(n_volumes)) for one in series]).astype(np.float64)
    pairs = [(i, j) for i in range(len(series)) for j in range(i)]
    same = np.mean([(values[i] * values[j]).mean(axis=0) for i, j in pairs], axis=0)
    moved = np.roll(values, n_volumes // 2, axis=1)
    other = np.mean([(values[i] * moved[j]).mean(axis=0) for i, j in pairs], axis=0)
    assert np.median(same) == pytest.approx(0.084, abs=0.005)
    assert np.quantile(same, 0.95) == pytest.approx(0.327, abs=0.01)
    assert np.quantile(np.abs(other), 0.95) < 0.1
