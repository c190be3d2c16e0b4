"""Perception codes: counted pairs, nulls known by hand, planted structure, and what is refused."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from scripts.digits.codes.code_contrasts import (
    check_independent,
    contrast_rdms,
    joint_coefficients,
    pair_weights,
)
from scripts.digits.codes.codes import code_rdms
from scripts.digits.codes.compare_codes import compare_codes, drawn
from tests.digit_study import CATEGORIES, CODES, CONTRASTS, GROUPS, KINDS
from workflow.lib.errors import InputError
from workflow.lib.rdms.store import RDMStore, write_rdms


def store_of(path, rdms, model):
    write_rdms(
        path,
        (({"layer": layer}, rdm) for layer, rdm in rdms.items()),
        names=CATEGORIES,
        groups=[kind for kind, members in KINDS.items() for _ in members],
        measure="cosine",
        descriptors={"study": "digits", "model": model},
    )
    return RDMStore(path)


@pytest.fixture(scope="module")
def rdms():
    return code_rdms(CODES, KINDS, GROUPS)


@pytest.fixture(scope="module")
def codes(rdms, tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("codes") / "codes.h5", rdms, "codes")


def random_rdms(n, seed):
    rng = np.random.default_rng(seed)
    return {f"l{i}": pdist(rng.standard_normal((16, 20)), "correlation") for i in range(n)}


def test_codes_have_the_published_numbers_of_pairs(rdms):
    """Counted in the publication; the first three are all 120 pairs there are."""
    counted = {code: int(rdm.sum()) for code, rdm in rdms.items()}
    assert counted == {"Digit": 45, "Object": 15, "Versus": 60, "Magnitude": 9, "Animacy": 9}
    np.testing.assert_array_equal(rdms["Digit"] + rdms["Object"] + rdms["Versus"], 1)


def test_pairs_of_a_code_are_those_of_its_rule(rdms):
    pairs = itertools.combinations(CATEGORIES, 2)
    expected = [
        {first, second} & set(GROUPS["high"]) != set()
        and {first, second} & set(GROUPS["low"]) != set()
        for first, second in pairs
    ]
    np.testing.assert_array_equal(rdms["Magnitude"], expected)


def test_rules_of_a_code_add_up_and_categories_are_groups():
    found = code_rdms({"few": [["zero", "one"], ["one", "bed"]]}, KINDS, {})["few"]
    apart = [pair for pair, one in zip(itertools.combinations(CATEGORIES, 2), found) if one]  # noqa: B905
    assert apart == [("zero", "one"), ("one", "bed")]


@pytest.mark.parametrize(
    ("codes", "groups", "sentence"),
    [
        ({"odd": [["digit", "letters"]]}, {}, "codes.odd: found the group 'letters'"),
        ({"odd": [["one", "one"]]}, {}, r"codes.odd: found the rule \[one, one\]"),
        ({"odd": [["all", "all"]]}, {"all": CATEGORIES}, "tells all 120 pairs"),
        ({}, {"digit": ["one"]}, "groups: found 'digit', which is a kind or a category already"),
        ({}, {"pets": ["cat", "fish"]}, r"groups.pets: found 'fish', expected one of zero, one"),
    ],
)
def test_refuses_codes_that_say_nothing(codes, groups, sentence):
    with pytest.raises(InputError, match=sentence):
        code_rdms(codes, KINDS, groups)


def compared(layers, codes, path, **settings):
    settings = {"n_permutations": 500, "n_resamples": 200, "seed": 1} | settings
    return compare_codes(store_of(path / "layers.h5", layers, "vgg"), codes, **settings)


def test_constant_rdms_score_what_the_study_notes_say(codes, tmp_path):
    """A constant RDM: 0.612 on Digit, 0.354 Object, 0.707 Versus, 0.274 on the two others."""
    table = compared(random_rdms(1, 0), codes, tmp_path).set_index("code")["cosine_constant"]
    known = {"Digit": 0.612, "Object": 0.354, "Versus": 0.707, "Magnitude": 0.274, "Animacy": 0.274}
    assert table.round(3).to_dict() == known
    # And so it is of an RDM that hardly varies.
    flat = 1 + 1e-4 * np.random.default_rng(0).standard_normal(120)
    found = compared({"flat": flat}, codes, tmp_path).set_index("code")["cosine"]
    assert found.round(3).to_dict() == known


def test_similarities_equal_numpy(codes, rdms, tmp_path):
    layers = random_rdms(3, 4)
    table = compared(layers, codes, tmp_path).set_index(["code", "layer"])
    for code, layer in itertools.product(rdms, layers):
        one, other = rdms[code], layers[layer].astype(np.float32).astype(float)
        row = table.loc[(code, layer)]
        assert row["pearson"] == pytest.approx(np.corrcoef(one, other)[0, 1], abs=1e-9)
        cosine = one @ other / np.sqrt((one @ one) * (other @ other))
        assert row["cosine"] == pytest.approx(cosine, abs=1e-9)
        # Over all orders each pair of the code falls on each it can reach as often.
        kind = {"Magnitude": "digit", "Animacy": "object"}.get(code)
        assert row["permuted"] == ("all" if kind is None else "within kinds")
        pairs = list(itertools.combinations(CATEGORIES, 2))
        reached = [kind is None or set(pair) <= set(KINDS[kind]) for pair in pairs]
        known = row["cosine_constant"] * other[reached].mean() / np.sqrt(np.mean(other**2))
        assert row["cosine_null"] == pytest.approx(known, abs=0.02)


def test_planted_code_is_found_and_holds_its_interval(codes, rdms, tmp_path):
    noise = np.random.default_rng(2).standard_normal(120)
    table = compared({"l": rdms["Versus"] + 0.3 * noise}, codes, tmp_path).set_index("code")
    assert table["pearson"].idxmax() == "Versus"
    assert table.loc["Versus", "pearson_low"] > 0
    within = table["pearson_low"] < table["pearson"]
    assert (within & (table["pearson"] < table["pearson_high"])).all()


def test_unrelated_layers_are_rarely_significant(codes, tmp_path):
    """200 layers of noise: p < 0.05 in 5 % of tests of each code, within binomial limits."""
    table = compared(random_rdms(200, 7), codes, tmp_path, n_resamples=20)
    assert_rarely_significant(table)


def assert_rarely_significant(table):
    """As often as should be for Magnitude; for Animacy, of ten orders, never more often."""
    rates = (table["p"] < 0.05).groupby(table["code"]).mean()
    error = 3 * np.sqrt(0.05 * 0.95 / table["layer"].nunique())
    assert 0.05 - error < rates["Magnitude"] < 0.05 + error, rates
    # Of 500 random orders some 50 reach the largest of ten.
    animacy = table.loc[table["code"] == "Animacy", "p"]
    assert 0.06 < animacy.min() < 0.14
    assert (animacy <= 0.1).mean() < 0.1 + 3 * np.sqrt(0.1 * 0.9 / len(animacy))


@pytest.mark.parametrize(
    ("metric", "mean", "digits"), [("cosine", 1, 1), ("correlation", 1, 1), ("sqeuclidean", 2, 0.2)]
)
def test_kinds_that_differ_say_nothing_of_codes_within_them(codes, tmp_path, metric, mean, digits):
    """Digits share a mean, or lie close to one another, and that is all there is.

    Where all categories changed places, 51.5 % of such RDMs were significant for Animacy.
    """
    rng = np.random.default_rng(3)
    layers = {}
    for i in range(300):
        patterns = rng.standard_normal((16, 30))
        patterns[:10] = digits * patterns[:10] + mean * rng.standard_normal(30)
        layers[f"l{i}"] = pdist(patterns, metric)
    assert_rarely_significant(compared(layers, codes, tmp_path, n_resamples=20))


def test_codes_between_kinds_have_no_test(codes, tmp_path):
    table = compared(random_rdms(2, 7), codes, tmp_path).set_index("code")
    has_p = table.groupby(level=0)["p"].count().to_dict()
    assert has_p == {"Digit": 0, "Object": 0, "Versus": 0, "Magnitude": 2, "Animacy": 2}


def test_magnitude_is_found_where_digits_share_a_mean(codes, rdms, tmp_path):
    noise = np.random.default_rng(2).standard_normal(120)
    layer = 2 + rdms["Magnitude"] - rdms["Digit"] + 0.3 * noise
    assert compared({"l": layer}, codes, tmp_path).set_index("code").loc["Magnitude", "p"] < 0.01


def test_categories_are_drawn_within_kinds_unless_one_stands_alone(codes):
    assert drawn(codes) == "within_groups"
    codes_of_one_object = type("Store", (), {"groups": ["digit"] * 3 + ["object"]})
    assert drawn(codes_of_one_object) == "images"


# The joint fit.


def test_joint_coefficients_equal_least_squares(codes):
    _, contrasts = contrast_rdms(codes, CONTRASTS)
    rdms = np.stack(list(random_rdms(3, 11).values()))
    design = np.column_stack([np.ones(120), contrasts.T])
    expected = np.linalg.lstsq(design, (rdms / rdms.std(axis=1, keepdims=True)).T)[0][1:]
    np.testing.assert_allclose(joint_coefficients(contrasts, rdms)[0], expected, atol=1e-10)


def test_resampled_coefficients_equal_a_fit_on_repeated_categories(codes):
    """The resample written out: repeated rows, pairs of a category with itself left out."""
    _, contrasts = contrast_rdms(codes, CONTRASTS)
    rdm = random_rdms(1, 12)["l0"]
    rng = np.random.default_rng(13)
    drawn_ones = np.concatenate([rng.integers(0, 10, 10), rng.integers(10, 16, 6)])
    counts = np.bincount(drawn_ones, minlength=16)[np.newaxis]
    found = joint_coefficients(contrasts, rdm[np.newaxis], pair_weights(counts))[0, :, 0]
    number = {pair: i for i, pair in enumerate(itertools.combinations(range(16), 2))}
    rows = [number[a, b] for a, b in itertools.combinations(sorted(drawn_ones), 2) if a != b]
    target = rdm[rows] / rdm[rows].std()
    design = np.column_stack([np.ones(len(rows)), contrasts[:, rows].T])
    np.testing.assert_allclose(found, np.linalg.lstsq(design, target)[0][1:], atol=1e-9)


def test_resamples_without_a_code_are_undefined(codes):
    _, contrasts = contrast_rdms(codes, CONTRASTS)
    counts = np.ones((1, 16), int)
    counts[0, 7:10] = 0
    found = joint_coefficients(
        contrasts, np.stack([*random_rdms(1, 1).values()]), pair_weights(counts)
    )
    assert np.isnan(found).all()


def test_planted_coefficients_are_recovered(codes):
    names, contrasts = contrast_rdms(codes, CONTRASTS)
    planted = np.array([0.5, 1.0, -0.7, 0.3])
    rdm = 2 + planted @ contrasts
    found = joint_coefficients(contrasts, rdm[np.newaxis])[0, :, 0] * rdm.std()
    np.testing.assert_allclose(dict(zip(names, found, strict=True))["Magnitude"], -0.7)
    np.testing.assert_allclose(found, planted, atol=1e-10)


@pytest.mark.parametrize("order", [*itertools.permutations(["Digit", "Object", "Versus"])])
def test_the_three_codes_that_are_all_pairs_are_refused_by_name(codes, order):
    contrasts = {code: {code: 1} for code in ("Magnitude", *order, "Animacy")}
    message = f"{order[0]} and {order[1]} and a constant explain all of {order[2]}"
    with pytest.raises(InputError, match=message):
        contrast_rdms(codes, contrasts)


def test_codes_themselves_are_fitted_where_no_contrasts_are_given(codes):
    with pytest.raises(InputError, match="Digit and Object and a constant explain all of Versus"):
        contrast_rdms(codes, {})


def test_refuses_a_contrast_of_no_code(codes):
    with pytest.raises(InputError, match=r"contrasts\.x: found the code 'Colour'"):
        contrast_rdms(codes, {"x": {"Colour": 1}})


def test_refuses_a_constant_contrast():
    with pytest.raises(InputError, match="a constant explain all of x"):
        check_independent(["x"], np.ones((1, 6)))
