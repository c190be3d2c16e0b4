"""Write what a study did as text for a paper, from its config and its tables.

snakemake --cores 2 results/demo/bold5000/methods.md
"""

import html
import importlib
import platform
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.methods import (
    Methods,
    merged_paragraphs,
    methods_text,
    package_versions,
    software_sentences,
)
from workflow.lib.references import read_bibliography
from workflow.lib.tables import read_table

# Behind every study.
PACKAGES = ("snakemake", "numpy", "scipy", "pandas")
# Between the name of a section and that of its table, in names of inputs.
OF_SECTION = "__"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 serif; margin: 2em auto; max-width: 46em; }}
</style></head><body>{body}</body></html>
"""


def described(
    entries: Mapping[str, Mapping], tables: Mapping[str, Mapping[str, pd.DataFrame]]
) -> list[Methods]:
    """Return what every section says of a study.

    Parameters
    ----------
    entries : section -> its completed entry; a section whose folder of scripts has no module
        `methods` says nothing
    tables : section -> name -> table
    """
    return [_describer(name)(entry, tables.get(name, {})) for name, entry in entries.items()]


def _describer(section: str):
    # By name, since shared code names no study; the rule carries the digests of these modules.
    return importlib.import_module(f"scripts.{section}.methods").describe


def read_tables(files: Mapping[str, str]) -> dict[str, dict[str, pd.DataFrame]]:
    """Return section -> name -> table of inputs called <section>__<name>."""
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for name, path in files.items():
        section, _, table = name.partition(OF_SECTION)
        if table:
            tables.setdefault(section, {})[table] = read_table(path)
    return tables


def page(text: str, title: str) -> str:
    """Return Markdown of headings, bold words, lists and paragraphs as a page."""
    blocks = []
    for block in filter(None, re.split(r"\n{2,}", html.escape(text, quote=False))):
        block = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", block)
        block = re.sub(r"(https://[^\s<]+)", r'<a href="\1">\1</a>', block)
        heading = re.fullmatch(r"(#+) (.+)\n?", block)
        if heading:
            level = len(heading[1])
            blocks.append(f"<h{level}>{heading[2]}</h{level}>")
        elif block.startswith("- "):
            items = "".join(f"<li>{item}</li>" for item in re.split(r"^- ", block, flags=re.M)[1:])
            blocks.append(f"<ul>{items}</ul>")
        else:
            blocks.append(f"<p>{block}</p>")
    return PAGE.format(title=html.escape(title), body="\n".join(blocks))


if __name__ == "__main__":
    with script_job(snakemake):
        params, files = snakemake.params, dict(snakemake.input.items())
        said = described(params.entries, read_tables(files))
        packages = dict.fromkeys([*PACKAGES, *(name for each in said for name in each.packages)])
        pinned = Path(files["requirements"]).read_text()
        paragraphs = merged_paragraphs(said)
        paragraphs["Software"] = software_sentences(
            platform.python_version(),
            package_versions(packages, pinned),
            params.seed,
            citation=Path(files["citation"]).read_text(encoding="utf-8"),
        )
        text = methods_text(
            params.title,
            paragraphs,
            read_bibliography(files["bibliography"]),
            simulated=params.simulated,
            data=params.citations,
        )
        for path, content in (
            (snakemake.output.text, text),
            (snakemake.output.html, page(text, f"Methods: {params.title}")),
        ):
            with written_whole(path) as temporary:
                temporary.write_text(content, encoding="utf-8")
