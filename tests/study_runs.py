"""What holds of every study in a finished run: its figures build alone, and are in the report."""

import collections
import re
from collections.abc import Iterable, Mapping

from tests.checkout import Checkout


def assert_figures_build_alone(
    checkout: Checkout, results: str, figures: Mapping[str, str], *config: str
) -> None:
    """Check that a study drew these figures, and that each takes nothing but its own job.

    Parameters
    ----------
    checkout : Checkout
        With a finished run, whose figures are deleted.
    results : str
        Folder of the study's results.
    figures : mapping, figure -> rule that draws it
    config : str
        Arguments of Snakemake that name the run.
    """
    folder = checkout.folder / results / "figures"
    assert {file.stem for file in folder.glob("*.png")} == set(figures)
    paths = [f"{results}/figures/{name}.png" for name in figures]
    for path in paths:
        (checkout.folder / path).unlink()
    # All at once: none of them needs a job that is not one of these.
    assert checkout.planned_jobs(*paths, *config) == collections.Counter(figures.values())


def assert_report_holds(
    checkout: Checkout, results: str, tables: Iterable[str], *, not_data: Iterable[str] = ()
) -> None:
    """Check that the report holds a study's tables, and every figure with its caption.

    Captions say how many of what there are, and that data is simulated.

    Parameters
    ----------
    checkout : Checkout
        With a finished run of simulated data and its report.
    results : str
        Folder of the study's results, results/<run>/<study>.
    tables : iterable of str
        Names of files.
    not_data : iterable of str
        Figures of models or methods, which show no data.
    """
    _, run, study = results.split("/")
    page = (checkout.folder / f"results/{run}/report.html").read_text()
    captions = list((checkout.folder / results / "figures").glob("*.rst"))
    assert captions
    for caption in captions:
        text = caption.read_text()
        if caption.stem not in not_data:
            assert re.search(r"n = [\d,]+ [a-z]+", text), caption
            assert text.rstrip().endswith("Simulated data."), caption
        # Letters beyond ASCII stand otherwise in the page.
        sentence = re.split(r"[^\x00-\x7f]", text.split(".")[0])[-1]
        assert sentence in page, caption
        assert f"{study}/figures/{caption.stem}.png" in page, caption
    for table in tables:
        assert f"{study}/tables/{table}" in page
