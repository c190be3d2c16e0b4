"""What a study did, as text that can stand in a paper: sentences of its sections, put together.

A section of the config has a module scripts/<section>/methods.py with

    describe(entry, tables) -> Methods

which tells of its entry of a study, of the tables that `TOLD_TABLES` of the rules names for the
section, and of nothing that the entry leaves out.
"""

import importlib.metadata
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from workflow.lib.references import Reference, cited_keys, with_citations

# Packages of texts, by the names of their distributions, and what they ask to be cited.
CITED = {
    "numpy": "harris2020",
    "scipy": "virtanen2020",
    "scikit-learn": "pedregosa2011",
    "torch": "paszke2019",
    "nibabel": "brett2026",
    "nilearn": "abraham2014",
    "pandas": "mckinney2010",
    "captum": "kokhlikyan2020",
    "himalaya": "duprelatour2022",
    "umap-learn": "mcinnes2018",
    "snakemake": "molder2021",
}
# How names of networks begin, and who made them.
NETWORKS = {
    "alexnet": "krizhevsky2014",
    "inception": "szegedy2016",
    "resnet": "he2016",
    "squeezenet": "iandola2016",
    "vgg": "simonyan2014",
}
COMPARATORS = {
    "pearson": "Pearson's r",
    "cosine": "the cosine",
    "spearman": "Spearman's rho",
    "rho-a": "Spearman's rho-a",
    "tau-a": "Kendall's tau-a",
    "tau-b": "Kendall's tau-b",
    "cosine_cov": "the whitened cosine",
    "corr_cov": "the whitened Pearson correlation",
}
METRICS = {
    "correlation": "1 - Pearson's r",
    "cosine": "1 - cosine",
    "euclidean": "the Euclidean distance",
    "sq_euclidean": "the squared Euclidean distance",
    "mahalanobis": "the Mahalanobis distance",
    "crossnobis": "the cross-validated Mahalanobis (crossnobis) distance [@walther2016]",
}


@dataclass(frozen=True)
class Methods:
    """What a section says of a study.

    Attributes
    ----------
    paragraphs : mapping
        Heading -> sentences; sections that use one heading share a paragraph.
    packages : tuple of str
        Distributions behind the numbers, beside those that every study needs.
    """

    paragraphs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


def enumerated(names: Iterable[object], last: str = "and") -> str:
    """Return names as a sentence lists them: a, b and c."""
    *others, final = list(map(str, names)) or ["none"]
    return f"{', '.join(others)} {last} {final}" if others else final


def counted(n: float, singular: str, plural: str = "") -> str:
    """Return a number with its noun: 1 subject, 1,200 images."""
    return f"{int(n):,} {singular if int(n) == 1 else plural or singular + 's'}"


def cited_network(name: str) -> str:
    """Return the name of a network with who made it, where that is known."""
    keys = [key for start, key in NETWORKS.items() if name.startswith(start)]
    return f"{name} [@{keys[0]}]" if keys else name


def only(values: Iterable) -> object:
    """Return what all rows of a column have in common; several are a mistake of the caller."""
    found = set(values)
    if len(found) != 1:
        raise ValueError(f"found {sorted(map(str, found))}, expected one value in all rows")
    return found.pop()


def package_versions(packages: Iterable[str], requirements: str) -> dict[str, str]:
    """Return package -> version of those that are installed here, else the one that is pinned.

    Environments of single rules lack packages of others; each holds its packages at the versions
    of the requirements.

    Parameters
    ----------
    packages : names of distributions
    requirements : text with a line `name==version` per package
    """
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.+-]+)", requirements, re.M))
    versions = {}
    for name in packages:
        try:
            # A local part says for which processors a package was built.
            versions[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            versions[name] = pinned[name]
    return versions


def workflow_sentence(citation: str) -> str:
    """Return how this workflow asks to be named, of the text of its CITATION.cff."""
    named = dict(re.findall(r"^(title|version): (.+)$", citation, re.M))
    return (
        f'Analyses are those of the workflow "{named["title"]}", version {named["version"]}; its '
        "commit stands in provenance.json of the run."
    )


def software_sentences(
    python: str, versions: Mapping[str, str], seed: int, *, citation: str
) -> list[str]:
    """Return what is to be said of programs and random numbers.

    Parameters
    ----------
    python : version of Python
    versions : package -> version, of `package_versions`
    seed : of the run
    citation : text of the workflow's CITATION.cff
    """
    named = [
        f"{name} {version}" + (f" [@{CITED[name]}]" if name in CITED else "")
        for name, version in versions.items()
    ]
    return [
        workflow_sentence(citation),
        f"Analyses ran under Python {python} with {enumerated(named)}.",
        f"Random numbers follow from the seed {seed}, by a stream of its own for each job.",
    ]


def merged_paragraphs(described: Iterable[Methods]) -> dict[str, list[str]]:
    """Return heading -> sentences of several sections, in the order in which they come."""
    paragraphs: dict[str, list[str]] = {}
    for methods in described:
        for heading, sentences in methods.paragraphs.items():
            known = paragraphs.setdefault(heading, [])
            known += [sentence for sentence in sentences if sentence and sentence not in known]
    return {heading: sentences for heading, sentences in paragraphs.items() if sentences}


def methods_text(
    title: str,
    paragraphs: Mapping[str, Sequence[str]],
    references: Mapping[str, Reference],
    *,
    simulated: bool,
    data: Sequence[str] = (),
) -> str:
    """Return the text in Markdown, with the list of what it cites.

    Parameters
    ----------
    title : of the study
    paragraphs : heading -> sentences, which cite by [@key]
    references : key -> reference
    simulated : whether the data is
    data : how the registry says that data sets are to be cited, which may cite by [@key], too
    """
    lines = [f"# Methods: {title}", ""]
    if simulated:
        lines += [
            "Simulated data. No person took part: what follows shows what the analysis does, and "
            "says nothing about brains.",
            "",
        ]
    for heading, sentences in paragraphs.items():
        text = with_citations(" ".join(sentences), references)
        lines += [f"**{heading}.** {text}", ""]
    keys = cited_keys([*(" ".join(sentences) for sentences in paragraphs.values()), *data])
    cited = sorted((references[key].formatted() for key in keys), key=str.casefold)
    if cited:
        lines += ["## References", "", *(f"- {reference}" for reference in cited), ""]
    if data:
        given = [with_citations(citation, references) for citation in data]
        lines += ["## Data and weights", "", *(f"- {citation}" for citation in given), ""]
    return "\n".join(lines)
