"""Jobs of pairs of images ask for what they hold: it fits on a node, whatever is in their files."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow.lib.config.pair_kinds import is_stepwise, model_kinds, needs

FUNCTIONS = Path(__file__).parents[2]
FUNCTIONS /= "workflow/rules/studies/dissimilarity/resources_functions.smk"
# Images of a subject of the Algonauts 2023 challenge, and GB of a small node of a cluster.
ALL_IMAGES, NODE_GB = 9841, 64


@pytest.fixture
def requests():
    """Return a function: number of images -> rule (and kind) -> function of the attempt, in MB."""

    def of_images(n_images):
        entry = {
            "source": "path",
            "n_images": n_images,
            "side": 128,
            "metrics": ["correlation", "euclidean"],
            "embeddings": {"clip": {}},
            "splits": {"n_folds": 5},
            "models": {kind: {"kind": kind} for kind in model_kinds()},
        }
        names = {
            "config": {"dissimilarity": {"study": entry}},
            "is_stepwise": is_stepwise,
            "needs": needs,
            "kind_of_pairs": lambda wildcards: wildcards.model,
            "pair_subjects": lambda study: [f"subj{i:02d}" for i in range(1, 9)],
        }
        exec(compile(FUNCTIONS.read_text(), FUNCTIONS, "exec"), names)
        found = {**names["MB_OF_PAIRS"], "compute_pair_ceilings": names["ceilings_mb"]}
        found |= {f"fit {kind}": names["fit_mb"] for kind in model_kinds()}

        def of_attempt(name, function):
            wildcards = SimpleNamespace(study="study", model=name.removeprefix("fit "))
            return lambda attempt: function(wildcards, attempt=attempt)

        return {name: of_attempt(name, function) for name, function in found.items()}

    return of_images


def test_all_images_of_the_challenge_fit_on_a_node(requests):
    for name, request in requests(ALL_IMAGES).items():
        assert 1000 <= request(1) < 1000 * NODE_GB, name


def test_jobs_of_rdms_have_room_for_one_and_a_copy(requests):
    one = 4 * ALL_IMAGES * (ALL_IMAGES - 1) / 2 / 1e6
    few, all_images = (requests(n) for n in (100, ALL_IMAGES))
    for name in ("plot_fmri_rdms", "plot_distributions", "find_extreme_pairs", "fit mean"):
        assert all_images[name](1) - few[name](1) > 2 * one


def test_a_job_that_was_killed_asks_for_twice_as_much(requests):
    for name, request in requests(500).items():
        assert request(2) == 2 * request(1), name
        assert request(3) == 4 * request(1), name
