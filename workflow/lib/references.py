"""A bibliography in BibTeX, citations of it in texts, and lists of what a text cites.

Texts cite as pandoc does, [@nili2014] or [@nili2014; @mantel1967].
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workflow.lib.errors import InputError
from workflow.lib.words import near

ENTRY = re.compile(r"^@(\w+)\{([^,\s]+),\s*\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$")
CITATION = re.compile(r"\[((?:@[\w-]+)(?:; *@[\w-]+)*)\]")


@dataclass(frozen=True)
class Reference:
    """An entry of a bibliography.

    Attributes
    ----------
    key, kind : str
        Its key, and article, inproceedings, misc and so on.
    fields : mapping
        Fields of the entry; author and year are always among them.
    """

    key: str
    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def authors(self) -> list[tuple[str, str]]:
        """Return (family name, given names or initials) of every author."""
        names = [name.strip() for name in self.fields["author"].split(" and ")]
        return [tuple(map(str.strip, f"{name},".split(",")[:2])) for name in names]

    def short(self) -> str:
        """Return the reference as texts name it: family names and year."""
        family = [name for name, _ in self.authors()]
        if len(family) > 2 or "others" in family:
            named = f"{family[0]} et al."
        else:
            named = " & ".join(family)
        return f"{named}, {self.fields['year']}"

    def formatted(self) -> str:
        """Return the reference as lists have it: authors, year, title, where, DOI or address."""
        names = [f"{family}, {given}" if given else family for family, given in self.authors()]
        names = ["et al." if name == "others" else name for name in names]
        head = f"{', '.join(names)} ({self.fields['year']}). {self.fields['title']}."
        place = self.fields.get("journal") or self.fields.get("booktitle") or ""
        for name, form in (("volume", " {}"), ("number", "({})"), ("pages", ", {}")):
            if name in self.fields and place:
                place += form.format(self.fields[name].replace("--", "-"))
        return " ".join(filter(None, (head, f"{place}." if place else "", self.address())))

    def address(self) -> str:
        """Return the DOI, or else where the work is found; empty where neither is known."""
        if "doi" in self.fields:
            return f"https://doi.org/{self.fields['doi']}"
        return self.fields.get("url", "")


def read_bibliography(path: str | Path) -> dict[str, Reference]:
    """Return key -> reference of a BibTeX file with a field per line.

    Raises
    ------
    InputError
        A key that occurs twice, a line that is no field, or an entry without author, year or title.
    """
    found: dict[str, Reference] = {}
    for kind, key, body in ENTRY.findall(Path(path).read_text(encoding="utf-8")):
        fields = dict(_field(path, key, line) for line in body.splitlines() if line.strip())
        missing = [name for name in ("author", "year", "title") if name not in fields]
        if key in found or missing:
            wrong = "a second entry of that key" if key in found else f"no {', '.join(missing)}"
            raise InputError(
                f"{path}, {key}: found {wrong}, expected one entry with author, year and title; "
                "correct it"
            )
        found[key] = Reference(key, kind.lower(), fields)
    return found


def _field(path: str | Path, key: str, line: str) -> tuple[str, str]:
    match = FIELD.match(line)
    if not match:
        raise InputError(
            f"{path}, {key}: found the line {line.strip()!r}, expected a field per line, "
            "`name = {value},`; correct it"
        )
    # Braces within a title keep its capitals in LaTeX, and are no part of it.
    return match[1].lower(), match[2].replace("{", "").replace("}", "")


def cited_keys(texts: Iterable[str]) -> list[str]:
    """Return the keys that texts cite, each once, in their order."""
    groups = [group for text in texts for group in CITATION.findall(text)]
    return list(dict.fromkeys(key for group in groups for key in _keys(group)))


def _keys(group: str) -> list[str]:
    return [key.strip().removeprefix("@") for key in group.split(";")]


def with_citations(text: str, references: Mapping[str, Reference]) -> str:
    """Return a text whose keys are replaced by names and years.

    Raises
    ------
    InputError
        A key that the bibliography lacks.
    """

    def named(match: re.Match) -> str:
        return f"({'; '.join(references[key].short() for key in _keys(match[1]))})"

    for key in cited_keys([text]):
        if key not in references:
            raise InputError(
                f"config/references.bib: found no entry {key!r}, which a text of methods cites, "
                f"expected one{near(key, references)}"
            )
    return CITATION.sub(named, text)
