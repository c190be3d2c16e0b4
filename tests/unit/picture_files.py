"""Small files of responses to pictures, for tests."""

import numpy as np

from scripts.reconstruction.data.bdata_files import Session, write_bdata

BDATA = {"format": "bdata", "names": "stimulus_name"}


def written(path, pairs, seed=0, n_voxels=3, variant="fmriprep"):
    """Write a trial of each pair (synset, image) as BData, the first two voxels of ROI_V1."""
    n = len(pairs)
    responses = np.random.default_rng(seed).standard_normal((n, n_voxels))
    synsets, images = np.array(pairs).T
    session = Session(responses, synsets, images, np.ones(n), np.arange(n) + 1, np.zeros((n, 6)))
    write_bdata(path, session, {"ROI_V1": np.arange(n_voxels) < 2}, variant=variant)
    return path
