"""The registry of raw data: which files there are, where they come from, how to recognise them.

The Snakefile imports this module while it is parsed, so it needs only the standard library,
PyYAML and jsonschema. Bringing the files in is the part of `workflow.lib.acquire.fetch`.
"""

import itertools
import math
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import yaml

from workflow.lib.acquire.kept_files import kept_path
from workflow.lib.errors import InputError
from workflow.lib.words import near, one_line

SCHEMA = Path(__file__).parents[2] / "schemas" / "datasets.schema.yaml"

# Up to this size a file comes with its family, in one job.
SMALL_BYTES = 5_000_000

ARCHIVE_SUFFIX = ".zip"

# Far more than a registry has.
MOST_NESTED, MOST_FILES = 20, 100_000

# libyaml reads the registry ten times faster, but not every build of PyYAML has it.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class RawFile:
    """One raw file, as its publisher gives it.

    Attributes
    ----------
    path : str
        Path below the folder of the dataset, with forward slashes.
    url : str or None
        Where it can be downloaded: an http address or ``dryad:<doi>``. None if nowhere.
    bytes : int or None
        Exact size.
    approx_bytes : int or None
        Rounded size, where the exact one is not known.
    sha256, md5 : str or None
        Published checksums, in lower-case hexadecimal digits.
    family : str or None
        The `path` of the registry's entry, if it stands for several files.
    origin : str or None
        Path of the file of the dataset that it comes out of (`from` in the registry): an archive,
        or a file in another form.
    """

    path: str
    url: str | None = None
    bytes: int | None = None
    approx_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    family: str | None = None
    origin: str | None = None

    @property
    def is_packed(self) -> bool:
        """Whether it lies in an archive; what has another origin is made by a study's rule."""
        return self.origin is not None and self.origin.lower().endswith(ARCHIVE_SUFFIX)


@dataclass(frozen=True)
class Dataset:
    """A set of raw files with one publisher; `workflow/schemas/datasets.schema.yaml` has more."""

    name: str
    title: str
    licence: str
    citation: str
    homepage: str
    access: str
    files: tuple[RawFile, ...]
    how_to_get: str | None = None
    reference: str | None = None

    def file(self, path: str) -> RawFile:
        """Return the file with this path; raise InputError with near names if there is none."""
        for raw_file in self.files:
            if raw_file.path == path:
                return raw_file
        raise InputError(
            f"dataset {self.name} has no file {path!r}, expected one that the registry lists"
            f"{near(path, [raw_file.path for raw_file in self.files])}"
        )


# What a run asks for: a file and the dataset that it belongs to.
DatasetFile = tuple[Dataset, RawFile]


def load_datasets(path: str | Path) -> dict[str, Dataset]:
    """Read and check a registry of raw data.

    Parameters
    ----------
    path : str or Path
        YAML file of the form that `workflow/schemas/datasets.schema.yaml` describes.

    Returns
    -------
    dict of str to Dataset
        Families of files (`expand`) are written out, a `RawFile` for each combination.

    Raises
    ------
    InputError
        If the file cannot be read or a key of it is missing, unknown or wrong.
    """
    path = Path(path)
    entries = _read_yaml(path)
    _check_against_schema(entries, path)
    return {name: _dataset(name, entry, path) for name, entry in entries.items()}


def find_file(datasets: Mapping[str, Dataset], name: str, path: str) -> DatasetFile:
    """Return a dataset and one file of it; raise InputError with near names if there is none."""
    if name not in datasets:
        raise InputError(
            f"there is no dataset {name!r}, expected one that the registry lists"
            f"{near(name, datasets)}"
        )
    return datasets[name], datasets[name].file(path)


def small_families(datasets: Mapping[str, Dataset]) -> list[tuple[str, list[str]]]:
    """Return the families whose files are known to be small, as (dataset, paths).

    Fetching one of them takes less than starting a job for it.
    """
    families: dict[tuple[str, str], list[RawFile]] = {}
    for name, dataset in datasets.items():
        for raw_file in dataset.files:
            if raw_file.family and not raw_file.origin:
                families.setdefault((name, raw_file.family), []).append(raw_file)
    return [
        (name, [raw_file.path for raw_file in members])
        for (name, _), members in families.items()
        if all(
            (member.bytes or member.approx_bytes or math.inf) <= SMALL_BYTES for member in members
        )
    ]


def mirrored_path(dataset: Dataset, raw_file: RawFile, mirror: str | Path | None) -> Path | None:
    """Return where the mirror folder holds a raw file, or None where it does not.

    Raises
    ------
    InputError
        If the folder itself does not exist: a mistyped name must not start a download of
        gigabytes that are on the disk already.
    """
    if mirror is None:
        return None
    if not Path(mirror).is_dir():
        raise InputError(
            f"the mirror folder {mirror} does not exist: give `mirror` the folder that holds "
            "the datasets' folders, or leave it out to download."
        )
    return _in_mirror(dataset, raw_file, mirror)


def _in_mirror(dataset: Dataset, raw_file: RawFile, mirror: str | Path | None) -> Path | None:
    if mirror is None:
        return None
    path = Path(mirror, dataset.name, raw_file.path)
    # Somebody may have unpacked the archive there, and archives differ in how they spell names.
    return in_any_case(path) if raw_file.is_packed else (path if path.is_file() else None)


def in_any_case(path: Path) -> Path | None:
    """Return the file of this name, or else the one whose name differs in case alone, or None."""
    if path.is_file() or not path.parent.is_dir():
        return path if path.is_file() else None
    alike = [other for other in path.parent.iterdir() if other.name.lower() == path.name.lower()]
    return alike[0] if len(alike) == 1 and alike[0].is_file() else None


def find_in_place(
    dataset: Dataset, raw_file: RawFile, resources: str | Path, mirror: str | Path | None
) -> Path | None:
    """Return where a raw file lies now: in place, kept while it comes again, or in the mirror."""
    places = (
        Path(resources, dataset.name, raw_file.path),
        kept_path(resources, dataset.name, raw_file.path),
    )
    here = next((place for place in places if place.is_file()), None)
    return here or _in_mirror(dataset, raw_file, mirror)


def comes_from_origin(
    dataset: Dataset, raw_file: RawFile, resources: str | Path, mirror: str | Path | None
) -> bool:
    """Return whether a run makes a raw file out of another one, rather than bring it in itself.

    What lies in an archive may be given without it: in the mirror folder, or by hand.
    """
    if not raw_file.is_packed:
        return raw_file.origin is not None
    if _in_mirror(dataset, raw_file, mirror):
        return False
    archive = dataset.file(raw_file.origin)
    has_archive = find_in_place(dataset, archive, resources, mirror) is not None
    return has_archive or find_in_place(dataset, raw_file, resources, mirror) is None


def fetched_for(
    dataset: Dataset, raw_file: RawFile, resources: str | Path, mirror: str | Path | None
) -> RawFile:
    """Return what has to be brought in for a raw file: itself, or what it comes out of."""
    while comes_from_origin(dataset, raw_file, resources, mirror):
        raw_file = dataset.file(raw_file.origin)
    return raw_file


def fetched_files(
    datasets: Mapping[str, Dataset], resources: str | Path, mirror: str | Path | None
) -> list[tuple[str, str]]:
    """Return (dataset, path) of the raw files that are brought in, not made out of others."""
    return [
        (name, raw_file.path)
        for name, dataset in datasets.items()
        for raw_file in dataset.files
        if not comes_from_origin(dataset, raw_file, resources, mirror)
    ]


@dataclass(frozen=True)
class DownloadPlan:
    """What acquiring some raw files would do; `str()` of it is meant for people."""

    in_place: tuple[DatasetFile, ...]
    to_copy: tuple[DatasetFile, ...]
    to_download: tuple[DatasetFile, ...]
    unavailable: tuple[DatasetFile, ...]

    def __str__(self) -> str:
        parts = {
            "in place": self.in_place,
            "to copy from the mirror": self.to_copy,
            "to download": self.to_download,
            "not to be had": self.unavailable,
        }
        lines = []
        for heading, files in parts.items():
            if files:
                lines.append(f"Raw files {heading}: {_amount(files)}")
            for dataset, files_of_it in _by_dataset(files):
                lines.append(f"  {dataset.name}: {_amount(files_of_it)}")
        for dataset, _ in _by_dataset(self.unavailable):
            lines.append(f"{dataset.name}: {dataset.how_to_get}")
        return "\n".join(lines) or "Raw files: none needed"


def download_plan(
    files: Iterable[DatasetFile], resources_dir: str | Path, mirror: str | Path | None = None
) -> DownloadPlan:
    """Say for each raw file whether it is in place, in the mirror, to be downloaded, or missing.

    Parameters
    ----------
    files : iterable of (Dataset, RawFile)
        What a run needs, for example from `find_file`; a file named twice counts once, and for
        files out of an archive the archive does.
    resources_dir : str or Path
        Folder that holds a folder per dataset.
    mirror : str or Path, optional
        Folder of the same form, searched before anything is downloaded.
    """
    parts = {"in_place": [], "to_copy": [], "to_download": [], "unavailable": []}
    fetched = [
        (dataset, fetched_for(dataset, file, resources_dir, mirror)) for dataset, file in files
    ]
    unique = {(dataset.name, raw_file.path): (dataset, raw_file) for dataset, raw_file in fetched}
    for dataset, raw_file in unique.values():
        if Path(resources_dir, dataset.name, raw_file.path).exists():
            part = "in_place"
        elif mirrored_path(dataset, raw_file, mirror):
            part = "to_copy"
        else:
            part = "to_download" if raw_file.url else "unavailable"
        parts[part].append((dataset, raw_file))
    return DownloadPlan(**{part: tuple(entries) for part, entries in parts.items()})


def size_text(n_bytes: int) -> str:
    """Write a number of bytes for people, in decimal units.

    >>> size_text(3383520000)
    '3.38 GB'
    """
    size, unit = float(n_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


def _by_dataset(files: Iterable[DatasetFile]) -> list[tuple[Dataset, list[DatasetFile]]]:
    groups: dict[str, list[DatasetFile]] = {}
    for dataset, raw_file in files:
        groups.setdefault(dataset.name, []).append((dataset, raw_file))
    return [(group[0][0], group) for group in groups.values()]


def _amount(files: Iterable[DatasetFile]) -> str:
    """Write how many files there are and how large they are together."""
    raw_files = [raw_file for _, raw_file in files]
    exact = [f.bytes for f in raw_files if f.bytes is not None]
    rounded = [f.approx_bytes for f in raw_files if f.approx_bytes is not None]
    n_unknown = len(raw_files) - len(exact) - len(rounded)
    count = f"{len(raw_files)} file{'s' if len(raw_files) > 1 else ''}"
    if n_unknown == len(raw_files):
        return f"{count}, size unknown"
    size = ("about " if rounded else "") + size_text(sum(exact) + sum(rounded))
    return f"{count}, {size}" + (f" and {n_unknown} of unknown size" if n_unknown else "")


def _read_yaml(path: Path) -> dict:
    try:
        text = path.read_text(encoding="utf-8")
        _check_nesting(text)
        entries = yaml.load(text, Loader=YAML_LOADER)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): give the path of a registry of raw data."
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(
            f"{path} is not YAML, correct the place named here: {one_line(error)}."
        ) from error
    if bare_key := next(_keys_other_than_text(entries), None):
        raise InputError(
            f"{path}: key {bare_key} is read as a number, not as text: put it in quotation marks."
        )
    return entries


def _check_nesting(text: str) -> None:
    """Raise ValueError where a few lines would stand for billions, or end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=YAML_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"the alias *{event.anchor}, expected what it stands for")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_NESTED:
            raise ValueError(f"more than {MOST_NESTED} lists or mappings in one another")


def _keys_other_than_text(entries, keys: str = "") -> Iterator[str]:
    """Yield keys such as a bare 01, which YAML takes for the number 1."""
    if isinstance(entries, dict):
        for key, value in entries.items():
            if not isinstance(key, str):
                yield f"{keys}{key}"
            yield from _keys_other_than_text(value, f"{keys}{key}.")
    elif isinstance(entries, list):
        for index, value in enumerate(entries):
            yield from _keys_other_than_text(value, f"{keys}{index}.")


def _check_against_schema(entries: dict, path: Path) -> None:
    schema = yaml.load(SCHEMA.read_text(encoding="utf-8"), Loader=YAML_LOADER)
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(entries))
    if error is not None:
        key = ".".join(str(part) for part in error.absolute_path) or "(top level)"
        wanted = error.schema.get("description", "see workflow/schemas/datasets.schema.yaml")
        raise InputError(f"{path}: key {key}: {error.message}; expected: {wanted}")


def _dataset(name: str, entry: dict, path: Path) -> Dataset:
    files: list[RawFile] = []
    for index, file_entry in enumerate(entry["files"]):
        files += _expanded(file_entry, f"{path}: key {name}.files.{index}")
    most_common, n_entries = Counter(raw_file.path for raw_file in files).most_common(1)[0]
    if n_entries > 1:
        raise InputError(f"{path}: key {name}.files gives {most_common!r} twice: keep one.")
    _check_origins(files, f"{path}: key {name}.files")
    homeless = next((file.path for file in files if file.url is None and not file.origin), None)
    if homeless and "how_to_get" not in entry:
        raise InputError(
            f"{path}: key {name}.how_to_get is missing, but {homeless!r} has no url: "
            "say in a sentence how a user comes by it."
        )
    return Dataset(name=name, **{**entry, "files": tuple(files)})


def _check_origins(files: list[RawFile], where: str) -> None:
    """Refuse a file that comes from one that is not there, or in a circle from itself."""
    origins = {raw_file.path: raw_file.origin for raw_file in files}
    for raw_file in files:
        passed, path = [], raw_file.path
        while path is not None:
            if path not in origins or path in passed:
                raise InputError(
                    f"{where} says that {(passed or [path])[-1]!r} comes from {path!r}, expected "
                    f"another file that it lists{near(path, [p for p in origins if p != path])}"
                )
            passed.append(path)
            path = origins[path]


def _expanded(entry: dict, where: str) -> Iterator[RawFile]:
    """Yield a file for each combination of the values of `expand`, or the one file without it."""
    expand, rows = entry.get("expand", {}), entry.get("each", {})
    shared = {key: value for key, value in entry.items() if key not in ("expand", "each")}
    if "from" in shared:
        shared["origin"] = shared.pop("from")
    for field in expand:
        if f"{{{field}}}" not in entry["path"]:
            raise InputError(f"{where}.path lacks {{{field}}}, a field of expand: add it.")
    if (n_files := math.prod(map(len, expand.values()))) > MOST_FILES:
        raise InputError(
            f"{where}.expand: found {n_files:,} combinations, expected at most {MOST_FILES:,}: "
            "leave fields or values out."
        )
    combinations = list(itertools.product(*expand.values()))
    unmatched = set(rows).symmetric_difference(" ".join(values) for values in combinations)
    if rows and unmatched:
        raise InputError(
            f"{where}.each and expand do not fit together at {min(unmatched)!r}: "
            "give a row for every combination and for no other."
        )
    for values in combinations:
        facts = {**shared, **rows.get(" ".join(values), {})}
        if expand:
            fields = dict(zip(expand, values, strict=True))
            for key in {"path", "url"} & facts.keys():
                facts[key] = _filled(facts[key], fields, f"{where}.{key}")
        yield RawFile(**facts, family=entry["path"] if len(combinations) > 1 else None)


def _filled(template: str, fields: dict[str, str], where: str) -> str:
    try:
        # A field may not say how wide it is to be written.
        for _, field, form, conversion in string.Formatter().parse(template):
            if field is not None and (field not in fields or form or conversion):
                raise KeyError(field)
        return template.format_map(fields)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"{where} is {template!r}, for which expand gives no value ({error}): "
            "name only the fields of expand in braces."
        ) from error
