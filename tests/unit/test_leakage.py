"""The audit finds every kind of leak that is planted, and none where there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.lib.errors import InputError
from workflow.lib.leakage import SCALER, Part, Scaler, audit


def clean_parts():
    """Return training, validation and test parts that share nothing, in any respect."""
    rng = np.random.default_rng(1)
    parts = []
    for k, (n, start) in enumerate([(20, 0), (6, 100), (9, 200)]):
        items = np.arange(start, start + n)
        first, second = np.triu_indices(n, 1)
        parts.append(
            {
                "items": items,
                "pairs": np.stack([items[first], items[second]], axis=1),
                "groups": np.array([f"film {k}"] * n),
                "times": start + np.arange(n) * 2.0,
                "features": rng.standard_normal((n, 5)) + 100 * k,
                "contents": np.array([f"{k}-{i}" for i in range(n)]),
            }
        )
    return parts


def leaked(field, value):
    training, validation, test = clean_parts()
    test[field] = value(test[field], training[field])
    return Part(**training), Part(**validation), Part(**test)


def with_first_of(own, others):
    return np.concatenate([own, others[:1]])


def turned(own, others):
    return np.concatenate([own, others[:1, ::-1]])


def just_after(own, others):
    return np.append(own, others[3] + 1.5)


def nearly(own, others):
    return np.concatenate([own, others[:1] + 1e-4])


PLANTED = [
    ("items", with_first_of, "1 of 10 test items that are in training"),
    ("pairs", with_first_of, "1 of 37 test pairs that are training pairs"),
    ("pairs", turned, "1 of 37 test pairs that are training pairs"),
    ("groups", with_first_of, "1 of 2 test groups that are in training"),
    ("times", just_after, "1 of 10 test time points that lie at or next to one of training"),
    ("features", nearly, "1 of 10 test samples with a near-duplicate in training"),
    ("contents", with_first_of, "1 of 10 test samples with a copy in training"),
]


@pytest.mark.parametrize(("field", "plant", "message"), PLANTED)
def test_every_planted_leak_stops_a_clean_split(field, plant, message):
    with pytest.raises(InputError, match=message):
        audit(
            *leaked(field, plant),
            claims_clean=True,
            where="subj01, clean",
            min_gap=2.0,
            min_distance=1e-3,
        )


@pytest.mark.parametrize(("field", "plant", "message"), [p for p in PLANTED if p[0] != "pairs"])
def test_a_split_that_claims_nothing_says_what_it_shares(field, plant, message):
    table = audit(*leaked(field, plant), claims_clean=False, min_gap=2.0, min_distance=1e-3)
    shared = table[table["n_shared"] > 0]
    assert list(shared[["of", "seen_in"]].itertuples(index=False, name=None)) == [
        ("test", "training")
    ]
    assert shared["allowed"].all()
    n = len(np.unique(leaked(field, plant)[2].groups)) if field == "groups" else 10
    assert shared["share"].item() == pytest.approx(1 / n)


def test_no_split_may_test_pairs_that_it_learned_from():
    with pytest.raises(InputError, match="1 of 37 test pairs that are training pairs"):
        audit(*leaked("pairs", turned), claims_clean=False)


def test_nothing_is_found_where_nothing_is_shared():
    parts = [Part(**part) for part in clean_parts()]
    table = audit(*parts, claims_clean=True, min_gap=2.0, min_distance=1e-3)
    assert len(table) == 3 * 6
    assert (table["n_shared"] == 0).all()


def test_a_leak_by_way_of_validation_is_one():
    training, _, test = (Part(**part) for part in clean_parts())
    with pytest.raises(InputError, match="9 of 9 test items that are in validation"):
        audit(training, Part(items=test.items), test, claims_clean=True)


def test_the_same_time_in_another_run_is_far_away():
    times = np.arange(5.0)
    first, second = (Part(times=times, runs=np.array([run] * 5)) for run in ("run 1", "run 2"))
    table = audit(first, None, second, claims_clean=True, min_gap=10.0)
    assert table["n_shared"].item() == 0
    with pytest.raises(InputError, match="5 of 5 test time points"):
        audit(first, None, first, claims_clean=True)


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=20),
    st.lists(st.integers(0, 300), min_size=1, max_size=20),
    st.integers(0, 30),
)
def test_times_are_counted_as_brute_force_does(trained, tested, gap):
    near = sum(any(abs(t - s) < gap or t == s for s in trained) for t in tested)
    parts = Part(times=np.array(trained)), None, Part(times=np.array(tested))
    found = audit(*parts, claims_clean=False, min_gap=gap)
    assert found["n_shared"].item() == near


def test_near_duplicates_are_those_of_a_brute_force_search():
    rng = np.random.default_rng(3)
    trained, tested = rng.random((300, 3)), rng.random((700, 3))
    near = (np.linalg.norm(tested[:, None] - trained[None], axis=2).min(axis=1) <= 0.1).sum()
    parts = Part(features=trained), None, Part(features=tested)
    found = audit(*parts, claims_clean=False, min_distance=0.1)
    assert found["n_shared"].item() == near
    assert 0 < near < 700


def test_pairs_by_number_are_found():
    parts = Part(pairs=np.arange(10)), None, Part(pairs=np.array([9, 40]))
    with pytest.raises(InputError, match="1 of 2 test pairs"):
        audit(*parts, claims_clean=False)


def scaled(items, reason="", **options):
    """Audit clean parts whose labels are scaled by some items; test items are 200 to 208."""
    parts = [Part(**part) for part in clean_parts()]
    scalers = {"labels": Scaler(items, reason)}
    table = audit(*parts, scalers=scalers, **{"claims_clean": True} | options)
    return table[table["seen_in"] == SCALER].set_index("of")


def test_a_scaler_of_training_items_alone_shares_nothing():
    rows = scaled(np.arange(20))
    assert rows["check"].tolist() == ["labels", "labels"]
    assert rows["n_shared"].to_dict() == {"test": 0, "validation": 0}
    assert rows["n"].to_dict() == {"test": 9, "validation": 6}


def test_a_scaler_that_saw_test_items_stops_a_clean_split_but_for_a_reason():
    items = np.array([1, 2, 203, 204, 207])
    with pytest.raises(InputError, match="3 of 9 test items by which labels are scaled"):
        scaled(items)
    told = scaled(items, "the config says so").loc["test"]
    assert (told["n_shared"], told["allowed"], told["reason"]) == (3, True, "the config says so")
    assert scaled(items, claims_clean=False).loc["test", "allowed"]


def test_a_scaler_that_nothing_is_known_of_counts_as_having_seen_all():
    with pytest.raises(InputError, match="9 of 9 test items by which labels are scaled"):
        scaled(None)
    assert scaled(None, "RDMs as published")["share"].tolist() == [1, 1]
