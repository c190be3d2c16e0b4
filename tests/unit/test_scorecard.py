"""Verdicts follow their rules, and claims ask for what tables have."""

import math
import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from scripts.report import claims as rules
from scripts.report.claims import (
    COLUMNS,
    ITS_OWN,
    Found,
    asks,
    judged,
    kind_of_data,
    read_claims,
    rules_text,
)
from scripts.report.plot_scorecard import MARKS, plot_scorecard
from scripts.report.score_claims import scorecard, shown, with_interval
from tests.unit.checked_entries import DEFAULT
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over
from workflow.lib.config.sections import sections
from workflow.lib.errors import InputError
from workflow.lib.tables import read_table, write_html, write_table

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("config/*/claims.csv"))
TABLE = pd.DataFrame(
    {
        **{"split": ["random", "run", "near", "wide"], "value": [0.70, 0.40, 0.66, 0.60]},
        **{"low": [0.65, 0.35, 0.61, 0.50], "high": [0.75, 0.45, 0.71, 0.70]},
    }
)


def claim(rule, published="", against="", where="split == 'random'", **more):
    row = dict.fromkeys(COLUMNS, "") | {"rule": rule, "published": published, "against": against}
    row |= {"claim": "a claim", "statement": "It is so", "dataset": "data", "table": "scores"}
    return row | {"where": where, "value": "value", "low": "low", "high": "high"} | more


def verdict(row, data=rules.ORIGINAL, table=TABLE):
    return judged(row, table, data)[1]


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("0.70", rules.REPRODUCED),
        # The interval holds 0.67, and values that are up to 0.08 from it.
        ("0.67", rules.UNDECIDED),
        # 0.754 was rounded to 0.75 when it was published.
        ("0.75", rules.UNDECIDED),
        ("0.77", rules.NOT_REPRODUCED),
        ("-0.70", rules.NOT_REPRODUCED),
    ],
)
def test_published_number_lies_in_the_interval_or_not(published, expected):
    assert verdict(claim("number", published)) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # Wide intervals hold almost any number: of one that is spot on, and of one far off.
        ((0.00, -0.30, 0.30), rules.UNDECIDED),
        ((0.18, -0.05, 0.40), rules.UNDECIDED),
        ((0.01, -0.02, 0.04), rules.REPRODUCED),
        ((0.02, 0.01, 0.03), rules.NOT_REPRODUCED),
        ((0.18, 0.10, 0.26), rules.NOT_REPRODUCED),
    ],
)
def test_wide_interval_reproduces_no_number(found, expected):
    table = pd.DataFrame([dict(zip(("value", "low", "high"), found, strict=True))])
    assert verdict(claim("number", "-0.0039", where=""), table=table) == expected


def test_few_images_reproduce_nothing_and_many_reproduce_what_is_true():
    """Correlations of pairs that correlate by 0.3, of as many images, with Fisher's interval."""
    rng = np.random.default_rng(11)
    said = {}
    for n in (30, 10_000):
        verdicts = []
        for _ in range(200):
            x, noise = rng.standard_normal((2, n))
            z = np.arctanh(np.corrcoef(x, 0.3 * x + np.sqrt(1 - 0.3**2) * noise)[0, 1])
            ends = np.tanh([z, z - 1.96 / np.sqrt(n - 3), z + 1.96 / np.sqrt(n - 3)])
            verdicts.append(rules.number(Found(*ends, published=0.3, digits=3)))
        said[n] = {one: verdicts.count(one) / 200 for one in set(verdicts)}
    assert rules.REPRODUCED not in said[30]
    assert said[30][rules.UNDECIDED] > 0.9
    assert said[10_000][rules.REPRODUCED] > 0.9


def test_number_without_interval_agrees_to_its_digits():
    row = claim("number", "0.7", low="", high="")
    assert verdict(row) == rules.REPRODUCED
    assert verdict(row | {"published": "0.71"}) == rules.NOT_REPRODUCED
    assert verdict(row | {"published": "0.704"}) == rules.NOT_REPRODUCED
    count = pd.DataFrame({"n": [1010]})
    row = claim("number", "1010", where="", value="n", low="", high="")
    assert verdict(row, table=count) == rules.REPRODUCED
    assert verdict(row | {"published": "1011"}, table=count) == rules.NOT_REPRODUCED


@pytest.mark.parametrize(
    ("against", "expected"),
    [
        ("0.5", rules.REPRODUCED),
        ("0.7", rules.UNDECIDED),
        ("0.8", rules.NOT_REPRODUCED),
        ("split == 'run'", rules.REPRODUCED),
        ("split == 'near'", rules.UNDECIDED),
        # A value below our interval, with an interval that reaches into it.
        ("split == 'wide'", rules.UNDECIDED),
    ],
)
def test_direction_is_that_of_the_whole_interval(against, expected):
    assert verdict(claim("above", against=against)) == expected


def test_leak_is_found_where_intervals_do_not_overlap():
    assert verdict(claim("leak", against="split == 'run'")) == rules.LEAK
    assert verdict(claim("leak", against="split == 'near'")) == rules.UNDECIDED
    below = claim("leak", where="split == 'run'", against="split == 'near'")
    assert verdict(below) == rules.NO_LEAK
    # Of a difference.
    assert verdict(claim("leak", against="0")) == rules.LEAK
    assert verdict(claim("leak", against="0.7")) == rules.UNDECIDED
    assert verdict(claim("leak", against="0.8")) == rules.NO_LEAK
    # Without the clean split there is nothing to be said.
    assert verdict(claim("leak", against="split == 'subject'")) == rules.NOT_RUN


def test_mistake_is_corrected_where_both_ways_differ():
    table = pd.DataFrame({"original": [0.97, 0.0], "ours": [0.05, 0.0], "measure": ["a", "b"]})
    row = claim("error", against="original", value="ours", low="", high="")
    assert verdict(row | {"where": "measure == 'a'"}, table=table) == rules.CORRECTED
    assert verdict(row | {"where": "measure == 'b'"}, table=table) == rules.NO_MISTAKE


@pytest.mark.parametrize(
    ("original", "expected"),
    [("0.64", rules.CORRECTED), ("0.66", rules.UNDECIDED), ("0.70", rules.NO_MISTAKE)],
)
def test_mistake_is_corrected_where_it_lies_outside_our_interval(original, expected):
    assert verdict(claim("error", against=original)) == expected


def test_mistake_that_was_not_repeated_here_is_not_called_corrected():
    """A published number is none that the original's way gives here."""
    assert verdict(claim("error", published="1", low="", high="")) == rules.NOT_RUN


@pytest.mark.parametrize("data", [rules.ORIGINAL, rules.SIMULATED, rules.OTHER])
def test_ways_that_differ_whatever_the_data_are_not_called_corrected(data):
    row = claim("definition", published="0", low="", high="")
    assert verdict(row, data) == rules.BY_DEFINITION


@pytest.mark.parametrize("data", [rules.SIMULATED, rules.OTHER])
def test_other_data_shows_mechanisms_and_tests_no_claim(data):
    assert verdict(claim("number", "0.70"), data) == rules.UNTESTED
    assert verdict(claim("above", against="0.5"), data) == rules.UNTESTED
    assert verdict(claim("above", against="0.8"), data) == rules.UNTESTED
    assert verdict(claim("leak", against="split == 'run'"), data) == rules.LEAK_SHOWN
    assert verdict(claim("leak", against="split == 'near'"), data) == rules.UNDECIDED
    assert verdict(claim("error", against="0.1", low="", high=""), data) == rules.MISTAKE_SHOWN


def test_what_was_not_run_has_no_number():
    missing = claim("number", "0.7", where="split == 'subject'")
    for row, table in ((missing, TABLE), (claim("number", "0.7"), None)):
        found, said = judged(row, table, rules.ORIGINAL)
        assert said == rules.NOT_RUN
        assert math.isnan(found.value)
    assert verdict(claim("none")) == rules.NO_NUMBER
    for data in (rules.ORIGINAL, rules.SIMULATED):
        assert verdict(claim("unmeasured"), data) == rules.NOT_MEASURED


def test_several_rows_are_refused_or_taken_together():
    with pytest.raises(InputError, match="found 4 rows"):
        verdict(claim("above", against="0", where=""))
    row = claim("above", against="0.35", where="", how="min", low="", high="")
    assert verdict(row) == rules.REPRODUCED
    assert verdict(row | {"how": "max", "against": "0.7"}) == rules.NOT_REPRODUCED


@pytest.mark.parametrize(
    ("source", "dataset", "expected"),
    [
        ("simulated", "data", rules.SIMULATED),
        ("mirror", "data", rules.ORIGINAL),
        ("path", ITS_OWN, rules.ORIGINAL),
        ("path", None, rules.OTHER),
        ("download", "others", rules.OTHER),
    ],
)
def test_data_is_the_originals_where_its_registry_name_says_so(source, dataset, expected):
    assert kind_of_data(source, dataset, "data") == expected


@pytest.fixture
def card():
    rows = pd.DataFrame(
        [
            claim("leak", against="split == 'run'", claim="leaks"),
            claim("number", "0.70", claim="number", entry="published|.*_published"),
            claim("none", claim="none"),
        ]
    )
    studies = [
        {"section": "movies", "study": "movie", "source": "simulated", "dataset": None},
        {"section": "movies", "study": "real_published", "source": "mirror", "dataset": "data"},
        {"section": "others", "study": "x", "source": "mirror", "dataset": "data"},
    ]
    tables = {f"movies__{name}__scores": TABLE for name in ("movie", "real_published")}
    return scorecard({"movies": rows, "empty": rows.iloc[:1]}, studies, tables)


def test_every_claim_has_a_row_per_study_that_can_answer_it(card):
    found = card.set_index(["section", "claim", "study"])["verdict"].to_dict()
    assert found == {
        ("movies", "leaks", "movie"): rules.LEAK_SHOWN,
        ("movies", "leaks", "real_published"): rules.LEAK,
        ("movies", "number", "real_published"): rules.REPRODUCED,
        ("movies", "none", "movie"): rules.NO_NUMBER,
        ("movies", "none", "real_published"): rules.NO_NUMBER,
        ("empty", "leaks", ""): rules.NOT_RUN,
    }
    leaks = card[(card["claim"] == "leaks") & (card["study"] == "movie")].iloc[0]
    assert (leaks["ours"], leaks["low"], leaks["high"]) == (0.70, 0.65, 0.75)
    assert (leaks["against"], leaks["against_low"], leaks["against_high"]) == (0.40, 0.35, 0.45)
    assert "not whether the claim holds" in leaks["note"]
    page = shown(card)
    assert page["ours"].iloc[0] == "0.7 [0.65, 0.75]"
    assert page["held to"].iloc[0] == "0.4 [0.35, 0.45]"


def test_page_tells_the_rules_of_the_verdicts_that_it_gives(card, tmp_path):
    write_html(
        shown(card),
        tmp_path / "page.html",
        title="Scorecard",
        simulated=True,
        note=rules_text(card["verdict"]),
    )
    page = (tmp_path / "page.html").read_text()
    assert f"reaches no further than {rules.MARGIN} from it" in page
    assert all(f"{one}: " in page for one in set(card["verdict"]))
    assert f"{rules.NOT_REPRODUCED}: " not in page


def test_figure_counts_verdicts_and_says_what_simulation_can_show(card):
    figure, caption = plot_scorecard(card)
    texts = [text.get_text() for text in figure.axes[0].texts]
    plt.close(figure)
    assert "n = 6 rows" in caption
    assert "leak 1" in caption
    assert "can only show how a mistake works" in caption
    assert "movies: movie (simulated data)" in texts
    assert "movies: real_published (the original's data)" in texts
    assert "empty: no study of this run can answer" in texts
    assert set(MARKS) == set(rules.VERDICTS)
    real = card[card["data"] == rules.ORIGINAL]
    assert "imulated" not in plot_scorecard(real)[1]
    plt.close("all")


def test_card_of_which_no_study_can_answer_anything_is_drawn_from_its_file(tmp_path):
    empty = scorecard({"movies": pd.DataFrame([claim("none")])}, [], {})
    write_table(empty, tmp_path / "scorecard.csv")
    with warnings.catch_warnings():
        # A column of nothing else is one of numbers for pandas, which warns of words in it.
        warnings.simplefilter("error")
        figure, _ = plot_scorecard(read_table(tmp_path / "scorecard.csv"))
    texts = [text.get_text() for text in figure.axes[0].texts]
    plt.close(figure)
    assert "movies: no study of this run can answer" in texts


def test_numbers_as_pages_show_them():
    assert with_interval(np.nan) == ""
    assert with_interval(1010.0) == "1010"
    assert with_interval(3.7e-16) == "0"
    assert with_interval(0.69496, 0.6604, 0.72953) == "0.695 [0.66, 0.73]"
    assert Found(0.5).interval == (0.5, 0.5)


# The claims themselves.


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_claims_have_sources_and_what_their_rules_need(file):
    table = read_claims(file)
    assert file.parent.name in sections()
    assert (table["statement"] != "").all()
    assert (table["source"] != "").all()
    judged_rows = table[~table["rule"].isin(rules.WITHOUT_TABLE)]
    assert (judged_rows["table"] != "").all()
    assert (judged_rows["value"] != "").all()
    assert (table.loc[table["rule"] == "number", "published"] != "").all()
    held = table[table["rule"].isin(["above", "leak", "error"])]
    assert (held["against"] != "").all()
    # The margin around a published number is one of measures whose scale is 1.
    ranged = table[(table["rule"] == "number") & (table["low"] != "")]
    assert (ranged["published"].astype(float).abs() <= 1).all()


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("reconstruction", "decoder of test images"),
        ("emotions", "times of volumes"),
        ("digits", "images of layers"),
    ],
)
def test_what_is_known_beforehand_is_not_called_measured(section, name):
    """Ours is 0 or 1 by what it is: no run could find anything else."""
    table = read_claims(ROOT / "config" / section / "claims.csv")
    assert table.set_index("claim").loc[name, "rule"] == "definition"


@pytest.mark.parametrize("study", ["pictures", "pictures_null", "deeprecon", "deeprecon_original"])
def test_what_areas_add_to_v1_is_told_by_generators_that_differ_in_nothing_else(study):
    """Of the original's data, the first generator is told by a network, others by ridge."""
    full = yaml.safe_load((ROOT / "config/full.yaml").read_text())
    config = complete_config(laid_over(DEFAULT, full | {"studies": [study], "mirror": None}))
    entry = config["reconstruction"][study]
    claims = read_claims(ROOT / "config/reconstruction/claims.csv")
    asked = [
        claim
        for claim in claims.to_dict("records")
        if claim["claim"].startswith("V1 alone") and asks(claim, study)
    ]
    assert len(asked) == 1
    names = re.findall(r"\b(?:generator|other) == '(\w+)'", asked[0]["where"])
    more, less = (entry["generators"][name] for name in names)
    assert more["semantics"] == less["semantics"]
    shapes = [entry["shapes"][generator["shape"]] for generator in (more, less)]
    assert [decoder.pop("rois") for decoder in shapes] == [["V1", "V2", "V3"], ["V1"]]
    assert shapes[0] == shapes[1]
    compared = entry["evaluation"]
    assert names[0] == compared["reference"] or names in compared["pairs"]


def test_five_studies_have_claims():
    assert len(FILES) == 5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("rule", "columns"), "found the columns"),
        (("\na,", "\na,S,,s,d,,maybe,,,,,,,\nb,"), "found the rule 'maybe'"),
        (("\na,", "\na,S,,s,d,,none,,,,,,,\na,"), "found 'a' twice"),
    ],
)
def test_faulty_claims_are_refused(tmp_path, change, sentence):
    file = tmp_path / "claims.csv"
    text = ",".join(COLUMNS) + "\na,S,,s,d,,none,,,,,,,\n"
    file.write_text(text.replace(*change, 1))
    with pytest.raises(InputError, match=sentence):
        read_claims(file)
