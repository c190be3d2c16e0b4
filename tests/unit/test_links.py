"""Links of the documents lead to files of the repository."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    str(file.relative_to(ROOT))
    for pattern in (
        "*.md",
        "docs/*.md",
        "config/*.md",
        "results/*.md",
        "tests/*.md",
        "benchmarks/*.md",
    )
    for file in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document):
    links = LINK.findall((ROOT / document).read_text())
    files = {link.split("#")[0] for link in links if not re.match(r"https?:|#", link)}
    lost = [file for file in files if not (ROOT / document).parent.joinpath(file).exists()]
    assert lost == []


def test_every_page_of_the_documents_is_linked():
    readme = (ROOT / "README.md").read_text()
    pages = [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")]
    assert pages
    assert [page for page in pages if f"]({page})" not in readme] == []
