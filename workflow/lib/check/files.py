"""Which raw files of a study are here, which a run downloads, and which are missing."""

import collections
import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from workflow.lib.acquire.datasets import (
    Dataset,
    DatasetFile,
    RawFile,
    download_plan,
    fetched_for,
    find_file,
    size_text,
)
from workflow.lib.acquire.fetch import why_unavailable
from workflow.lib.errors import InputError
from workflow.lib.features.networks import default_weights
from workflow.lib.layout import (
    RESOURCES,
    find_source,
    find_weights,
    raw_folder,
)

# Files of one kind are counted, not listed, where there are more.
LISTED_FILES = 8


@dataclass(frozen=True)
class NeededFile:
    """A raw file of a study, and what a run brings in for it.

    Attributes
    ----------
    file : str
        Relative to the folder of the study's raw files.
    fetched : str
        The same, or the file that it comes out of: an archive, for instance.
    place : Path or None
        Where `fetched` lies now; None if nowhere.
    bytes : int or None
        Size of `fetched`; None where it is neither here nor published.
    has_address : bool
        Whether `fetched` can be downloaded.
    """

    file: str
    fetched: str
    place: Path | None
    bytes: int | None
    has_address: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether the file itself is here."""
        return self.place is not None and self.fetched == self.file


def needed_file(
    study: Mapping, file: str, datasets: Mapping[str, Dataset], config: Mapping
) -> NeededFile:
    """Return where a raw file of a study is, or what would be brought in for it.

    Parameters
    ----------
    study : a study, or a block that says as a study does where its files come from
    file : relative to the folder of its raw files
    datasets : the registry
    config : completed

    Raises
    ------
    InputError
        The registry does not list a file that a run would have to fetch.
    """
    mirror = config["mirror"]
    place = find_source(f"{raw_folder(study, config['run'])}/{file}", datasets, mirror)
    size = place.stat().st_size if place else None
    dataset = datasets.get(study["dataset"])
    is_listed = dataset is not None and any(known.path == file for known in dataset.files)
    if study["source"] not in ("mirror", "download") or (place and not is_listed):
        return NeededFile(file, file, place, size)
    return _registered(*find_file(datasets, study["dataset"], file), place, mirror)


def find_files(
    study: Mapping,
    files: Iterable[str],
    key: str,
    datasets: Mapping[str, Dataset],
    config: Mapping,
) -> tuple[list[NeededFile], list[str]]:
    """Print where every raw file of a study is.

    Parameters
    ----------
    study, datasets, config : as of `needed_file`
    files : relative to the folder of its raw files
    key : the config key that names the files

    Returns
    -------
    readable : list of NeededFile
        All of them; none where some are not here, or are still to be made out of others.
    lacking : list of str
        The problem that some are nowhere; none where a run would download them (`homeless_files`
        says which of them it could not).
    """
    files, folder = list(files), Path(raw_folder(study, config["run"]))
    folders = [file for file in files if (folder / file).is_dir()]
    if folders:
        return [], [
            f"found the folder {folder / folders[0]}, expected a file; write {folders[0]}/*.png "
            f"for all images of that kind in it, or correct `{key}`"
        ]
    needed = [needed_file(study, file, datasets, config) for file in files]
    missing = print_files(needed, study["source"])
    if missing:
        is_fetched = study["source"] == "download"
        return [], [] if is_fetched else [missing_sentence(missing, study, key)]
    return needed if are_readable(needed) else [], []


def print_files(files: Iterable[NeededFile], source: str) -> list[str]:
    """Print every file with where it is, and return the names of those that are nowhere.

    Parameters
    ----------
    files : as `needed_file` returns them; what several come out of counts once
    source : of the study; "download" says that what is not here and has an address will be
    """
    sizes: dict[str, dict[str, int | None]] = {"found": {}, "download": {}, "missing": {}}
    for file in files:
        if file.place:
            sizes["found"][str(file.place)] = file.bytes
        else:
            action = "download" if source == "download" and file.has_address else "missing"
            sizes[action][file.fetched] = file.bytes
    for action, those in sizes.items():
        for line in _file_lines(action, those):
            print(f"  {line}")
    return [*sizes["download"], *sizes["missing"]]


def find_paths(
    paths: Iterable[str], datasets: Mapping[str, Dataset], mirror: str | None
) -> list[str]:
    """Print where raw files are, and return a problem for each that is nowhere and in no data set.

    Parameters
    ----------
    paths : with their folders, as sections of the config name raw files
    datasets : the registry
    mirror : of the config
    """
    files, lacking = [], []
    for path in paths:
        place = find_source(path, datasets, mirror)
        registered = _in_registry(path, datasets)
        if registered:
            files.append(_registered(*registered, place, mirror))
        else:
            files.append(NeededFile(path, path, place, place.stat().st_size if place else None))
            if place is None:
                lacking.append(f"found no {path}, expected that file; correct its name")
    print_files(files, "download")
    return lacking


def homeless_files(
    paths: Iterable[str], datasets: Mapping[str, Dataset], mirror: str | None
) -> list[str]:
    """Return a problem for each data set of which a file is nowhere, and at no address.

    Parameters
    ----------
    paths : with their folders, as sections of the config name raw files
    datasets : the registry
    mirror : of the config
    """
    nowhere = [path for path in paths if find_source(path, datasets, mirror) is None]
    files = [file for path in nowhere if (file := _in_registry(path, datasets))]
    lacking: dict[str, list[DatasetFile]] = {}
    for dataset, raw_file in download_plan(files, RESOURCES, mirror).unavailable:
        lacking.setdefault(dataset.name, []).append((dataset, raw_file))
    return [
        (f"{len(those)} such files, the first: " if len(those) > 1 else "")
        + why_unavailable(*those[0], mirror)
        for those in lacking.values()
    ]


def _in_registry(path: str, datasets: Mapping[str, Dataset]) -> DatasetFile | None:
    """Return the data set and the file of it that lies at a path; None if it is in none."""
    folder, *parts = PurePosixPath(path).parts
    if folder != RESOURCES or len(parts) < 2 or parts[0] not in datasets:
        return None
    return find_file(datasets, parts[0], "/".join(parts[1:]))


def _registered(
    dataset: Dataset, raw_file: RawFile, place: Path | None, mirror: str | None
) -> NeededFile:
    """Return a file of the registry, with what a run brings in for it and where that is now."""
    fetched = fetched_for(dataset, raw_file, RESOURCES, mirror)
    size = place.stat().st_size if place else fetched.bytes or fetched.approx_bytes
    return NeededFile(raw_file.path, fetched.path, place, size, fetched.url is not None)


def are_readable(files: Sequence[NeededFile]) -> bool:
    """Return whether all files are here, and say if some are still to be made out of others."""
    unmade = [file for file in files if not file.is_readable]
    if unmade:
        print(
            f"  not read before a run has made them: {len(unmade)} files that come out of others, "
            f"such as {unmade[0].file} out of {unmade[0].fetched}"
        )
    return not unmade


def missing_sentence(missing: Sequence[str], study: Mapping, key: str) -> str:
    """Return the problem that files are nowhere, where a run would not download them.

    Parameters
    ----------
    missing : as `print_files` returns them, one or more
    study : as of `needed_file`
    key : the config key that names the files
    """
    is_own = study["source"] == "path"
    place = study["path"] if is_own else f"<mirror>/{study['dataset']}"
    return (
        f"found {len(missing)} of its raw files missing (for example {missing[0]}), "
        f"expected them in {place}; correct `{'path' if is_own else 'mirror'}` or `{key}`"
    )


def _file_lines(action: str, sizes: Mapping[str, int | None]) -> Iterator[str]:
    """Yield a line per file, or per folder and suffix where there are many with the suffix."""
    kinds: dict[tuple[PurePosixPath, str], list[str]] = {}
    for file in sizes:
        path = PurePosixPath(file)
        kinds.setdefault((path.parent, path.suffix.lower()), []).append(file)
    counts = collections.Counter(PurePosixPath(file).suffix.lower() for file in sizes)
    for (folder, suffix), files in kinds.items():
        if counts[suffix] > LISTED_FILES and len(files) > 1:
            total = _size_note([sizes[file] for file in files])
            yield f"{action:8} {len(files)} {suffix} files in {folder}{total}"
        else:
            yield from (f"{action:8} {file}{_size_note([sizes[file]])}" for file in files)


def _size_note(sizes: Iterable[int | None]) -> str:
    known = [size for size in sizes if size]
    return f" ({size_text(sum(known))})" if known else ""


@contextlib.contextmanager
def folder_now(folder: str, files: Sequence[NeededFile]) -> Iterator[Path]:
    """Give a folder that holds all files of a study: their own, or one of links to them.

    Before a run some may lie in resources/ and others in the mirror.

    Parameters
    ----------
    folder : of the study's raw files once they are there
    files : all readable
    """
    if all(Path(folder, file.file) == file.place for file in files):
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory() as links:
        for file in files:
            link = Path(links, file.file)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.place.resolve())
        yield Path(links)


def find_own_weights(
    network: str, weights: str, label: str, datasets: Mapping[str, Dataset], mirror: str | None
) -> Path | None:
    """Say where the weights of a network come from; return the file that the config names.

    Parameters
    ----------
    network : name of a torchvision network
    weights : as in the config: untrained, torchvision, or a path
    label : what has them, in print
    datasets : the registry
    mirror : of the config

    Returns
    -------
    Path or None
        None for weights that are not from a file, or not here: a run downloads them, or stops as
        `homeless_files` says.

    Raises
    ------
    InputError
        Weights that are nowhere and in no data set.
    """
    if weights == "untrained":
        return None
    if weights == "torchvision":
        known = default_weights(network)
        here = known.path.is_file()
        action, place = ("found", known.path) if here else ("download", known.url)
        print(f"  {action:8} {place}{_size_note([known.bytes])}, weights of {label}")
        return None
    path = find_weights(weights, mirror)
    if path:
        action, size = "found", path.stat().st_size
    else:
        registered = _in_registry(weights, datasets)
        if registered is None:
            raise InputError(f"found no weights {weights}, expected that file; correct `weights`")
        file = _registered(*registered, None, mirror)
        action, size = "download" if file.has_address else "missing", file.bytes
    print(f"  {action:8} {path or weights}{_size_note([size])}, weights of {label}")
    return path
