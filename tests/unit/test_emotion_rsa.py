"""Comparing RDMs of emotions: exact orders against brute force, planted geometry, uniform nulls."""

import itertools

import numpy as np
import pytest
import scipy.stats

from scripts.emotions.rsa.compare_emotion_rdms import compare_emotion_rdms, map_models
from workflow.lib.inference.sign_flip import MIN_SUBJECTS
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.rdms.vectors import to_square
from workflow.lib.sources import JOINT_SUBJECT

CLASSES = ("ANGERRAGE", "FEAR", "HAPPINESS", "LOVE", "SADNESS")
N_PAIRS, N_ORDERS = 10, 120
OPTIONS = {"comparator": "spearman", "n_permutations": 40320}


def stores(folder, of_subjects, models, key="roi", names=("all",)):
    """Write RDMs (n_subjects, n_names, n_pairs), with their mean for `roi`, and of models."""
    of_subjects = np.asarray(of_subjects, float)
    rows = [
        ({"subject": f"{subject:02}", key: name}, vector)
        for subject, own in enumerate(of_subjects)
        for name, vector in zip(names, own, strict=True)
    ]
    if key == "roi":
        means = of_subjects.mean(axis=0)
        rows += [
            ({"subject": JOINT_SUBJECT, "roi": name}, vector)
            for name, vector in zip(names, means, strict=True)
        ]
    write_rdms(
        folder / "brain.h5", rows, names=CLASSES, measure="crossnobis", may_have_gaps=key == "place"
    )
    of_models = [
        ({"model": name.partition(" ")[0], "layer": name.partition(" ")[2]}, vector)
        for name, vector in models.items()
    ]
    write_rdms(folder / "models.h5", of_models, names=CLASSES, measure="any")
    return RDMStore(folder / "brain.h5"), RDMStore(folder / "models.h5")


def brute_force(model, brain):
    """Return how many of all orders of the model's emotions reach the observed Spearman's rho."""
    square, pairs = to_square(model, 5), np.triu_indices(5, 1)
    observed = scipy.stats.spearmanr(model, brain).statistic
    reached = [
        scipy.stats.spearmanr(square[np.ix_(order, order)][pairs], brain).statistic
        >= observed - 1e-9
        for order in itertools.permutations(range(5))
    ]
    assert len(reached) == N_ORDERS
    return observed, sum(reached)


@pytest.mark.parametrize("seed", range(3))
def test_p_counts_all_orders(tmp_path, seed):
    rng = np.random.default_rng(seed)
    # Ties share their mean rank.
    model, brain = np.round(rng.random(N_PAIRS), 1).astype(np.float32), rng.random(N_PAIRS)
    brain = brain.astype(np.float32)
    table = compare_emotion_rdms(
        *stores(tmp_path, [[brain]], {"affect": model}), rng=rng, **OPTIONS
    )
    observed, reached = brute_force(model, brain)
    row = table.query("subject == '00'").iloc[0]
    assert row["similarity"] == pytest.approx(observed)
    assert (row["n_reached"], row["n_orders"], row["complete"]) == (reached, N_ORDERS, True)
    assert row["p"] == pytest.approx(reached / N_ORDERS)


def test_p_is_never_below_one_order_in_all(tmp_path):
    model = np.arange(N_PAIRS, dtype=float)
    table = compare_emotion_rdms(
        *stores(tmp_path, [[model]], {"affect": model}), rng=np.random.default_rng(0), **OPTIONS
    )
    assert table["similarity"].iloc[0] == pytest.approx(1)
    assert table["p"].iloc[0] == pytest.approx(1 / N_ORDERS)


def test_null_is_uniform_over_the_orders(tmp_path):
    rng = np.random.default_rng(5)
    n_subjects = 400
    model = rng.random(N_PAIRS)
    brains = rng.random((n_subjects, 1, N_PAIRS))
    table = compare_emotion_rdms(*stores(tmp_path, brains, {"affect": model}), rng=rng, **OPTIONS)
    p = table.loc[~table["subject"].isin([JOINT_SUBJECT, ""]), "p"].to_numpy()
    assert len(p) == n_subjects
    # Of 120 equally likely values: uniform but for the steps.
    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        at_most = np.mean(p <= level + 1e-9)
        assert abs(at_most - level) < 3.5 * np.sqrt(level * (1 - level) / n_subjects)


def test_planted_geometry_is_found_and_another_is_not(tmp_path):
    rng = np.random.default_rng(7)
    planted, other = rng.random((2, N_PAIRS))
    brains = planted + 0.15 * rng.standard_normal((8, 1, N_PAIRS))
    table = compare_emotion_rdms(
        *stores(tmp_path, brains, {"affect": planted, "runs": other}), rng=rng, **OPTIONS
    )
    joint = table[table["subject"] == JOINT_SUBJECT].set_index("second")
    assert joint.loc["affect", "p"] <= 3 / N_ORDERS
    assert joint.loc["affect", "p_subjects"] == pytest.approx(1 / 2**8)
    assert joint.loc["affect", "similarity"] > joint.loc["runs", "similarity"]


def test_every_two_models_are_compared_once(tmp_path):
    rng = np.random.default_rng(0)
    models = dict(zip(("affect", "runs", "cnn block1"), rng.random((3, N_PAIRS)), strict=True))
    table = compare_emotion_rdms(
        *stores(tmp_path, rng.random((2, 1, N_PAIRS)), models), rng=rng, **OPTIONS
    )
    among = table[table["subject"] == ""]
    assert set(zip(among["first"], among["second"], strict=True)) == {
        ("affect", "runs"),
        ("affect", "cnn block1"),
        ("runs", "cnn block1"),
    }
    expected = scipy.stats.spearmanr(models["affect"], models["runs"]).statistic
    assert among["similarity"].iloc[0] == pytest.approx(expected, abs=1e-6)


def test_few_subjects_are_not_tested_and_told_why(tmp_path):
    rng = np.random.default_rng(0)
    table = compare_emotion_rdms(
        *stores(tmp_path, rng.random((4, 1, N_PAIRS)), {"affect": rng.random(N_PAIRS)}),
        rng=rng,
        **OPTIONS,
    )
    row = table[table["subject"] == JOINT_SUBJECT].iloc[0]
    assert np.isnan(row["p_subjects"])
    assert f"need {MIN_SUBJECTS}" in row["reason"]
    assert np.isfinite(row["p"])


# Maps.


@pytest.fixture
def planted_map(tmp_path):
    """Return a map in which 3 of 30 places resemble the model in all of 8 subjects."""
    rng = np.random.default_rng(11)
    model = rng.random(N_PAIRS)
    places = rng.standard_normal((8, 30, N_PAIRS))
    places[:, :3] = model + 0.1 * rng.standard_normal((8, 3, N_PAIRS))
    names = [f"parcel{number}" for number in range(30)]
    models = {"cnn block1": rng.random(N_PAIRS), "cnn block2": model, "runs": rng.random(N_PAIRS)}
    return map_models(
        *stores(tmp_path, places, models, key="place", names=names), rng=rng, **OPTIONS
    )


def test_map_finds_what_was_planted(planted_map):
    of_network = planted_map[planted_map["model"] == "cnn"]
    # All 2^8 signs, of which only the observed one reaches what all subjects share.
    found = of_network.loc[of_network["p_max"] < 0.05, "name"]
    assert {"parcel0", "parcel1", "parcel2"} <= set(found)
    assert len(found) <= 4


def test_map_takes_the_last_layer_of_a_network(planted_map):
    assert set(zip(planted_map["model"], planted_map["layer"].fillna(""), strict=True)) == {
        ("cnn", "block2"),
        ("runs", ""),
    }


def test_map_is_corrected_over_places(planted_map):
    assert (planted_map["p_max"] >= planted_map["p"]).all()


def test_no_order_of_five_emotions_survives_correction_over_many_places(planted_map):
    assert planted_map["p_orders"].min() >= 1 / N_ORDERS - 1e-12
    assert 1 / N_ORDERS * 267 > 0.05


def test_places_without_an_rdm_are_left_out(tmp_path):
    rng = np.random.default_rng(0)
    places = rng.random((6, 3, N_PAIRS))
    places[2, 1] = np.nan
    places[4, 2] = 0
    table = map_models(
        *stores(tmp_path, places, {"affect": rng.random(N_PAIRS)}, key="place", names="abc"),
        rng=rng,
        **OPTIONS,
    )
    assert table["name"].tolist() == ["a"]
