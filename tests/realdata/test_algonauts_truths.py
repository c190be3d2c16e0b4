"""Algonauts 2019, 92 images, 15 subjects: what is known of it, through the whole workflow."""

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import load_rdm
from scipy.stats import spearmanr

from tests.checkout import copy_of_repository

pytestmark = [pytest.mark.realdata, pytest.mark.slow, pytest.mark.xdist_group("realdata")]

# Mean over subjects of the squared Spearman correlation with the mean RDM of all of them.
PUBLISHED_CEILING = {"EVC": 0.1589, "IT": 0.3075}

CONFIG = """
run: algonauts
studies: [algonauts2019]
mirror: {mirror}
rsa:
  algonauts2019:
    source: mirror
    comparators: [spearman]
    inference: {{n_permutations: 99}}
    models: {{squeezenet1_0_untrained: {{seeds: 2}}}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory, mirror):
    """Run the comparison of the joint RDM, and return the study's results."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("algonauts"))
    config = checkout.write("algonauts.yaml", CONFIG.format(mirror=mirror))
    study = "results/algonauts/algonauts2019"
    checkout.snakemake(f"{study}/tables/rsa_joint.csv", "--configfile", str(config))
    return checkout.folder / study


def test_ceilings_are_the_published_ones(results):
    joint = load_rdm(str(results / "rdms/brain_joint.h5"))
    subjects = [load_rdm(str(results / f"rdms/brain_s{i:02d}.h5")) for i in range(1, 16)]
    for row, roi in enumerate(joint.rdm_descriptors["roi"]):
        mean = joint.dissimilarities[row]
        squared = [spearmanr(one.dissimilarities[row], mean).statistic ** 2 for one in subjects]
        assert np.mean(squared) == pytest.approx(PUBLISHED_CEILING[roi], abs=5e-5)


def test_trained_network_rises_with_depth_in_inferior_temporal_cortex(results):
    table = pd.read_csv(results / "tables/rsa_joint.csv").query("roi == 'IT'")
    trained, untrained = (
        table[table["model"] == model]["similarity"].to_numpy()
        for model in ("squeezenet1_0", "squeezenet1_0_untrained")
    )
    depth = np.arange(len(trained))
    assert spearmanr(depth, trained).statistic > 0.9
    assert trained[-1] > 0.3
    assert trained[-1] > untrained.max() + 0.2
    last = table[(table["model"] == "squeezenet1_0") & (table["layer"] == "fire9")].iloc[0]
    assert last["p"] == 0.01
