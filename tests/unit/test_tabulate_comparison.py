"""Published scores of reconstructions beside ours: each has a source, or its cell is empty."""

from pathlib import Path

import pandas as pd
import pytest

from scripts.reconstruction.evaluation.tabulate_comparison import (
    OURS,
    read_published,
    side_by_side,
    tabulate_comparison,
)
from workflow.lib.errors import InputError

ROOT = Path(__file__).parents[2]
HEADER = "method,dataset,measure,features,value,source\n"
ALEXNET = "alexnet features.4 (untrained)"
MEANS = pd.DataFrame(
    [
        ("natural", "full", "01", "ssim", "pixels", None, 0.1, 0.0, 0.2, None),
        ("natural", "full", "joint", "ssim", "pixels", None, 0.3, 0.2, 0.4, None),
        ("natural", "full", "joint", "identification", "alexnet2", 2, 0.8, 0.7, 0.9, ALEXNET),
        ("natural", "full", "joint", "identification", "alexnet2", 10, 0.5, 0.4, 0.6, ALEXNET),
        ("natural", "shuffled", "joint", "ssim", "pixels", None, 0.0, -0.1, 0.1, None),
    ],
    columns=[
        *("part", "generator", "subject", "measure", "features", "n_way"),
        *("value", "low", "high", "network"),
    ],
)


@pytest.fixture
def written(tmp_path):
    def write(rows):
        path = tmp_path / "published.csv"
        path.write_text(HEADER + rows)
        return path

    return write


def test_every_number_of_the_repository_has_a_source():
    table = read_published(ROOT / "config/reconstruction/published.csv")
    known = table[table["value"].notna()]
    assert len(known)
    assert known["source"].str.contains("arXiv:").all()
    # Of a paper itself, not of what somebody says of it.
    assert not known["source"].str.contains("summary|not read").any()
    # Correlations, similarities and shares; identification is better than chance.
    assert known["value"].between(0, 1).all()
    assert (known.loc[known["measure"] == "identification", "value"] > 0.5).all()
    # The study that is rebuilt has a column, filled or not.
    assert "Fang, Qi & Pan 2020" in set(table["method"])


def test_ours_is_the_reference_over_all_subjects_and_two_way(written):
    published = read_published(
        written("M,NSD,ssim,pixels,0.4,paper\nM,NSD,identification,clip,,not found\n")
    )
    table = tabulate_comparison(MEANS, published, reference="full", title="Lab")
    ours = table[table["source"] == OURS].set_index("measure")
    assert ours["value"].to_dict() == {"ssim": 0.3, "identification": 0.8}
    assert set(ours["dataset"]) == {"Lab, natural"}
    theirs = table[table["method"] == "M"]
    assert theirs["value"].tolist()[0] == 0.4
    assert theirs["value"].isna().tolist() == [False, True]
    assert theirs[["low", "high"]].isna().all(axis=None)


def test_page_has_a_column_per_method_and_leaves_cells_empty(written):
    published = read_published(
        written("M,NSD,ssim,pixels,0.4,paper\nN,NSD,identification,clip,,not found\n")
    )
    page = side_by_side(tabulate_comparison(MEANS, published, reference="full", title="Lab"))
    cells = page.set_index(["measure", "features"])
    assert list(cells.columns) == ["full (Lab, natural)", "M (NSD)", "N (NSD)"]
    assert cells.loc[("ssim", "pixels")].tolist() == ["0.300 [0.200, 0.400]", "0.400", ""]
    assert cells.loc[("identification", "clip")].tolist() == ["", "", ""]
    assert cells.loc[("networks", "")].tolist() == [f"alexnet2: {ALEXNET}", "", ""]
    assert cells.loc[("source", "")].tolist() == ["this study", "paper", "no number found"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("M,NSD,ssim,pixels,0.4,\n", "found 0.4 of M .ssim. without a source"),
        ("M,NSD,ssim,pixels,about 0.4,paper\n", "found the value 'about 0.4'"),
        ("M,NSD,ssim,pixels,0.4,a\nM,NSD,ssim,pixels,0.5,b\n", "found ssim by pixels of M twice"),
    ],
)
def test_numbers_that_cannot_be_told_are_refused(rows, words, written):
    with pytest.raises(InputError, match=words):
        read_published(written(rows))


def test_other_columns_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("method,value\nM,0.4\n")
    with pytest.raises(InputError, match="found the columns method, value, expected method, data"):
        read_published(path)
    with pytest.raises(InputError, match="found no such file"):
        read_published(tmp_path / "nowhere.csv")
