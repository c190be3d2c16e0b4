"""The joint fit of codes against statsmodels, planted effects, nulls, and single cases."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api
from scipy.spatial.distance import pdist

from scripts.digits.codes.code_contrasts import category_influence, contrast_rdms, varies_within
from scripts.digits.codes.codes import code_rdms
from scripts.digits.codes.fit_codes import fit_codes, group_table, two_factor_variance
from tests.unit.test_codes import CATEGORIES, CODES, CONTRASTS, GROUPS, KINDS, store_of
from workflow.lib.errors import InputError
from workflow.lib.rdms.store import RDMStore, write_rdms

SETTINGS = {"n_permutations": 400, "n_resamples": 200, "seed": 5}


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    rdms = code_rdms(CODES, KINDS, GROUPS)
    return store_of(tmp_path_factory.mktemp("codes") / "codes.h5", rdms, "codes")


def geometry(
    rng,
    *,
    versus=0.0,
    magnitude=0.0,
    digits=1.0,
    objects=1.0,
    metric="euclidean",
    directions=None,
):
    """Return the RDM of patterns in which digits and objects, or numbers, differ.

    `digits` and `objects` say how far those of one kind lie apart; `directions` in which patterns
    digits differ from objects and high numbers from low, new ones if not given.
    """
    patterns = rng.standard_normal((16, 30)) * np.repeat([digits, objects], [10, 6])[:, np.newaxis]
    of_kinds, direction = rng.standard_normal((2, 30)) if directions is None else directions
    patterns[10:] += versus * of_kinds
    # The code, low against high: of numbers on a line 0 to 2 and 7 to 9 differ more than its own.
    size = np.array([0, -1, -1, -1, 0, 0, 0, 1, 1, 1, *np.zeros(6)])
    return pdist(patterns + magnitude * np.outer(size, direction), metric)


def brain_store(path, rdms, subject):
    write_rdms(
        path,
        (({"roi": roi, "session": "mean"}, rdm) for roi, rdm in rdms.items()),
        names=CATEGORIES,
        groups=[kind for kind, members in KINDS.items() for _ in members],
        measure="correlation",
        descriptors={"study": "digits", "subject": subject},
    )
    return RDMStore(path)


def test_fit_equals_statsmodels(codes, tmp_path):
    rng = np.random.default_rng(1)
    store = store_of(tmp_path / "l.h5", {"a": geometry(rng, versus=1), "b": geometry(rng)}, "vgg")
    fit = fit_codes(store, codes, CONTRASTS, **SETTINGS)
    names, vectors = contrast_rdms(codes, CONTRASTS)
    for row, layer in enumerate("ab"):
        rdm = store.vectors()[row]
        design = statsmodels.api.add_constant(vectors.T)
        whole = statsmodels.api.OLS(rdm / rdm.std(), design).fit()
        found = fit.table[fit.table["layer"] == layer].set_index("contrast")
        np.testing.assert_allclose(found.loc[names, "coefficient"], whole.params[1:], atol=1e-8)
        np.testing.assert_allclose(found["r_squared"], whole.rsquared, atol=1e-9)
        for i, name in enumerate(names):
            without = statsmodels.api.OLS(rdm / rdm.std(), np.delete(design, i + 1, axis=1)).fit()
            unique = whole.rsquared - without.rsquared
            assert found.loc[name, "unique"] == pytest.approx(unique, abs=1e-9)
            alone = fit.partition.query("layer == @layer and contrasts == @name")["share"].item()
            assert alone == pytest.approx(unique, abs=1e-7)


def test_shares_of_all_sets_sum_to_r_squared(codes, tmp_path):
    store = store_of(tmp_path / "l.h5", {"a": geometry(np.random.default_rng(2), versus=1)}, "vgg")
    fit = fit_codes(store, codes, CONTRASTS, **SETTINGS)
    assert len(fit.partition) == 15
    whole = fit.table["r_squared"].iloc[0]
    assert fit.partition["share"].sum() == pytest.approx(whole, abs=1e-7)


def test_planted_contrast_is_told_from_those_that_overlap_with_it(codes, tmp_path):
    """Digits differ from objects: no difference between numbers follows from that."""
    rng = np.random.default_rng(3)
    rdms = {f"l{i}": geometry(rng, versus=2) for i in range(5)}
    table = fit_codes(store_of(tmp_path / "l.h5", rdms, "vgg"), codes, CONTRASTS, **SETTINGS).table
    versus = table[table["contrast"] == "Versus"]
    assert (versus["low"] > 0).all()
    assert (table[table["contrast"] == "Magnitude"]["p_fwe"] > 0.05).all()


def test_planted_magnitude_is_found_beside_a_stronger_difference(codes, tmp_path):
    rng = np.random.default_rng(4)
    rdms = {f"l{i}": geometry(rng, versus=2, magnitude=1) for i in range(5)}
    table = fit_codes(store_of(tmp_path / "l.h5", rdms, "vgg"), codes, CONTRASTS, **SETTINGS).table
    magnitude = table[table["contrast"] == "Magnitude"]
    assert (magnitude["p_fwe"] < 0.05).all()
    assert (magnitude["coefficient"] > 0).all()


@pytest.mark.parametrize(("digits", "objects"), [(1, 1), (1, 0.2), (0.2, 1)])
def test_contrasts_within_kinds_that_are_not_there_are_rarely_significant(
    codes, tmp_path, digits, objects
):
    """300 RDMs in which kinds differ, and in how far their members lie apart, and nothing else.

    Where categories changed places between kinds, up to 21 % were significant at 5 %.
    """
    rng = np.random.default_rng(6)
    rdms = {f"l{i}": geometry(rng, versus=2, digits=digits, objects=objects) for i in range(300)}
    settings = SETTINGS | {"n_resamples": 20}
    table = fit_codes(store_of(tmp_path / "l.h5", rdms, "vgg"), codes, CONTRASTS, **settings).table
    absent = table[table["contrast"].isin(["Magnitude", "Animacy"])]
    assert (absent["reason"] == "").all()
    rates = (absent["p"] < 0.05).groupby(absent["contrast"]).mean()
    assert (rates < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)).all(), rates
    assert rates["Magnitude"] > 0.05 - 3 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("digits", [1, 0.2])
def test_contrasts_between_kinds_have_an_interval_and_no_test(codes, tmp_path, digits):
    """Squared distances of kinds that differ in spread only, if at all: Versus is zero.

    Where all categories changed places, 33 to 36 % were significant at 5 %.
    """
    rng = np.random.default_rng(7)
    rdms = {f"l{i}": geometry(rng, digits=digits, metric="sqeuclidean") for i in range(300)}
    settings = SETTINGS | {"n_resamples": 20}
    table = fit_codes(store_of(tmp_path / "l.h5", rdms, "vgg"), codes, CONTRASTS, **settings).table
    between = table[table["contrast"].isin(["Versus", "Digit - Object"])]
    assert between[["p", "p_fwe"]].isna().all(axis=None)
    assert between["reason"].str.contains("spreads may differ").all()
    versus = table[table["contrast"] == "Versus"]
    excludes = ((versus["low"] > 0) | (versus["high"] < 0)).mean()
    assert excludes < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("metric", ["sqeuclidean", "correlation"])
@pytest.mark.parametrize(
    "planted",
    [
        {},
        {"digits": 0.2},
        {"versus": 1, "magnitude": 0.5},
        {"digits": 0.5, "versus": 1},
        {"objects": 0.3, "versus": 1},
    ],
)
def test_intervals_hold_the_coefficient_of_the_population(codes, tmp_path, planted, metric):
    """400 draws of sixteen categories, whose mean is held in 93 to 99 %, within binomial error."""
    rng = np.random.default_rng(9)
    directions = rng.standard_normal((2, 30))
    rdms = {
        f"l{i}": geometry(rng, metric=metric, directions=directions, **planted) for i in range(400)
    }
    settings = SETTINGS | {"n_resamples": 20, "n_permutations": 2}
    table = fit_codes(store_of(tmp_path / "l.h5", rdms, "vgg"), codes, CONTRASTS, **settings).table
    truth = table.groupby("contrast")["coefficient"].transform("mean")
    held = (table["low"] <= truth) & (truth <= table["high"])
    rates = held.groupby(table["contrast"]).mean()
    assert (rates > 0.93 - 3 * np.sqrt(0.93 * 0.07 / 400)).all(), rates
    assert (rates < 0.99 + 3 * np.sqrt(0.99 * 0.01 / 400)).all(), rates


def test_influence_equals_fits_without_each_category(codes):
    """The jackknife written out, by statsmodels on the pairs that are left."""
    _, vectors = contrast_rdms(codes, CONTRASTS)
    rdm = geometry(np.random.default_rng(3), versus=1, magnitude=1)
    first, second = np.triu_indices(16, 1)
    fits = []
    for i in range(16):
        left = (first != i) & (second != i)
        design = statsmodels.api.add_constant(vectors[:, left].T)
        fits.append(statsmodels.api.OLS(rdm[left] / rdm[left].std(), design).fit().params[1:])
    fits = np.array(fits)
    kinds = fits[:10], fits[10:]
    variance = sum((len(k) - 1) / len(k) * ((k - k.mean(axis=0)) ** 2).sum(axis=0) for k in kinds)
    found = category_influence(vectors, rdm[np.newaxis], codes.groups)
    np.testing.assert_allclose((found[..., 0] ** 2).sum(axis=0), variance, rtol=1e-8)


def test_group_variance_is_of_subjects_and_of_categories():
    """Means of effects of categories, of subjects and of both: known variances, in 2,000 draws."""
    rng = np.random.default_rng(10)
    n_subjects, n_categories = 8, 12
    category = rng.standard_normal((2000, 1, n_categories))
    subject = 0.3 * rng.standard_normal((2000, n_subjects, 1))
    cells = category + subject + 2 * rng.standard_normal((2000, n_subjects, n_categories))
    estimates = cells.mean(axis=2)
    influence = (estimates[..., np.newaxis] - cells) / np.sqrt(n_categories * (n_categories - 1))
    variance = two_factor_variance(estimates.T, influence.transpose(2, 1, 0))
    assert variance.mean() == pytest.approx(1 / 12 + 0.09 / 8 + 4 / 96, rel=0.08)


def test_six_objects_in_two_halves_have_ten_orders(codes, tmp_path):
    """No animacy of three against three reaches p < 0.1, which the caption says."""
    rdm = contrast_rdms(codes, CONTRASTS)[1][3] + 0.01 * geometry(np.random.default_rng(2))
    store = store_of(tmp_path / "l.h5", {"a": rdm}, "vgg")
    table = fit_codes(store, codes, CONTRASTS, **SETTINGS).table.set_index("contrast")
    assert table.loc["Animacy", "p"] == pytest.approx(0.1, abs=0.04)
    assert table.loc["Animacy", "coefficient"] > 0


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [("Digit - Object", False), ("Versus", False), ("Magnitude", True), ("Animacy", True)],
)
def test_contrasts_that_differ_within_kinds_are_told_from_those_between(codes, contrast, expected):
    names, vectors = contrast_rdms(codes, CONTRASTS)
    assert varies_within(vectors[names.index(contrast)], codes.groups) is expected


def group_of(codes, folder, n_subjects, **planted):
    rng = np.random.default_rng(8)
    fits = []
    for i in range(n_subjects):
        rdms = {"with": geometry(rng, **planted), "without": geometry(rng)}
        fits.append(
            fit_codes(brain_store(folder / f"{i}.h5", rdms, f"s{i}"), codes, CONTRASTS, **SETTINGS)
        )
    return fits, group_table(fits, n_categories=15, seed=(1, "digits"))


def test_group_finds_what_is_planted_in_one_region(codes, tmp_path):
    fits, table = group_of(codes, tmp_path, 8, versus=2)
    found = table.set_index(["roi", "contrast"])
    assert found.loc[("with", "Versus"), "low"] > 0
    # All subjects of one sign: 2 of 2^8 patterns reach it.
    assert found.loc[("with", "Versus"), "p_subjects"] == pytest.approx(2 / 2**8)
    assert (found.loc["without", "p_subjects_fwe"] > 0.05).all()
    mean = np.mean([fit.table["coefficient"] for fit in fits], axis=0)
    np.testing.assert_allclose(table["coefficient"], mean)


def test_one_subject_has_no_group(codes, tmp_path):
    _, table = group_of(codes, tmp_path, 1, versus=2)
    assert table[["low", "high", "p_subjects", "p_subjects_fwe"]].isna().all(axis=None)
    assert (table["reason"] == "1 subjects, sign-flip tests need 6").all()


def test_more_contrasts_than_are_shared_out_have_coefficients(codes, tmp_path):
    store = store_of(tmp_path / "l.h5", {"a": geometry(np.random.default_rng(2))}, "vgg")
    parity = code_rdms({"Parity": [["two", "three"], ["four", "five"]]}, KINDS, {})["Parity"]
    rdms = dict(zip(codes.labels["layer"], codes.vectors(), strict=True))
    more = store_of(tmp_path / "codes.h5", {**rdms, "Parity": parity}, "codes")
    fit = fit_codes(store, more, {**CONTRASTS, "Parity": {"Parity": 1}}, **SETTINGS)
    assert len(fit.table) == 5
    assert fit.partition.empty


def test_same_seed_same_table_and_another_another(codes, tmp_path):
    store = store_of(tmp_path / "l.h5", {"a": geometry(np.random.default_rng(2))}, "vgg")
    tables = [
        fit_codes(store, codes, CONTRASTS, **SETTINGS | {"seed": seed}).table for seed in (1, 1, 2)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0]["p"].equals(tables[2]["p"])


def test_collinear_codes_are_refused_by_name(codes, tmp_path):
    store = store_of(tmp_path / "l.h5", {"a": geometry(np.random.default_rng(2))}, "vgg")
    with pytest.raises(InputError, match="Digit and Object and a constant explain all of Versus"):
        fit_codes(store, codes, {}, **SETTINGS)
