"""Bringing raw files in, from a mirror folder or over the network, and proving they are right.

A file is verified before it gets its name, so that whatever lies under resources/ is whole. Its
sha256 is written beside it; where the publisher gives no checksum, that is the only record of
what was fetched.
"""

import dataclasses
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import requests
from tqdm import tqdm

from workflow.lib.acquire.datasets import Dataset, RawFile, mirrored_path, size_text
from workflow.lib.acquire.kept_files import kept_path
from workflow.lib.acquire.transfer import BrokenOff, Download, Patience, WebPageError
from workflow.lib.acquire.verification import PAGE_FOUND, defect, write_checksum
from workflow.lib.errors import InputError
from workflow.lib.files import move_whole, sha256_of, written_whole

DRYAD = "https://datadryad.org"
DRYAD_TOKEN = "DRYAD_TOKEN"
USER_AGENT = f"deepnet-fmri-rsa {requests.utils.default_user_agent()}"
PATIENCE = Patience()

log = logging.getLogger("workflow")


def acquire_files(
    dataset: Dataset,
    raw_files: Sequence[RawFile],
    resources: str | Path,
    *,
    mirror: str | Path | None = None,
    may_download: bool = True,
    patience: Patience = PATIENCE,
) -> dict[str, str]:
    """Bring files of a dataset in, all or none; an attempt that fails keeps what it fetched.

    Parameters
    ----------
    dataset, raw_files
        What to bring, from the registry.
    resources : str or Path
        Files go to `<resources>/<dataset>/<path>`. What `workflow.lib.acquire.kept_files` keeps
        there, and is what the registry describes, is not fetched again.
    mirror : str or Path, optional
        Folder that is searched before anything is downloaded.
    may_download : bool
        False where every study of the run takes the dataset from the mirror alone.
    patience : Patience
        How long a download waits, and how often it tries again.

    Returns
    -------
    dict, path -> sha256

    Raises
    ------
    InputError
        A file cannot be had, or is not the file that the registry describes. None of those that
        were missing is in place then.
    """
    digests: dict[str, str] = {}
    for raw_file in raw_files:
        kept = kept_path(resources, dataset.name, raw_file.path)
        digest = _digest_if_right(kept, raw_file)
        if digest is None:
            if not may_download and mirrored_path(dataset, raw_file, mirror) is None:
                raise InputError(
                    f"{dataset.name}/{raw_file.path}: found no such file in the mirror folder "
                    f"{mirror}, expected it there because the config says `source: mirror`; put it "
                    "there, or say `source: download`"
                )
            digest = fetch_file(dataset, raw_file, kept, mirror=mirror, patience=patience)
        digests[raw_file.path] = digest
    for path, digest in digests.items():
        destination = Path(resources, dataset.name, path)
        destination.parent.mkdir(parents=True, exist_ok=True)
        os.replace(kept_path(resources, dataset.name, path), destination)
        write_checksum(destination, digest)
    return digests


def _digest_if_right(path: Path, raw_file: RawFile) -> str | None:
    """Return the sha256 of a file that is here and is what the registry describes, else None."""
    if not path.is_file():
        return None
    digest = sha256_of(path)
    if defect(path, digest, raw_file):
        return None
    log.info("%s is here already", raw_file.path)
    return digest


def fetch_file(
    dataset: Dataset,
    raw_file: RawFile,
    destination: str | Path,
    *,
    mirror: str | Path | None = None,
    progress: bool = True,
    dryad: str = DRYAD,
    patience: Patience = PATIENCE,
) -> str:
    """Copy one raw file from the mirror, or download it.

    Parameters
    ----------
    dataset, raw_file
        What to bring, from the registry.
    destination : str or Path
        Where the file shall lie.
    mirror : str or Path, optional
        Folder that is searched first, for `<mirror>/<dataset>/<path>`.
    progress : bool
        Draw a progress bar while downloading, if there is a terminal to draw it on.
    dryad : str
        Address of the Dryad server.
    patience : Patience
        How long a download waits, and how often it tries again.

    Returns
    -------
    str
        The sha256 of the file.

    Raises
    ------
    InputError
        If the file cannot be had, or is not the file that the registry describes. Nothing is
        left at `destination` then; beside it, what came of a download that broke off.
    """
    destination = Path(destination)
    mirrored = mirrored_path(dataset, raw_file, mirror)
    if mirrored is None and raw_file.url is None:
        raise InputError(why_unavailable(dataset, raw_file, mirror))
    if mirrored:
        digest = _copy(dataset, raw_file, mirrored, destination)
    else:
        by_hand = _by_hand(dataset, raw_file, mirror)
        raw_file, digest = _download(
            dataset, raw_file, destination, by_hand, progress, dryad, patience
        )
    if raw_file.sha256 is None and raw_file.md5 is None:
        log.info("no checksum of %s is published; its sha256 is %s", raw_file.path, digest)
    return digest


def _copy(dataset: Dataset, raw_file: RawFile, mirrored: Path, destination: Path) -> str:
    """Copy a file of the mirror; return its sha256."""
    log.info("copying %s", mirrored)
    with written_whole(destination) as partial:
        shutil.copyfile(mirrored, partial)
        digest = sha256_of(partial)
        if found := defect(partial, digest, raw_file):
            raise InputError(
                f"{dataset.name}/{raw_file.path} from {mirrored} {found}: replace it in the mirror "
                "folder."
            )
    return digest


def _download(
    dataset: Dataset,
    raw_file: RawFile,
    destination: Path,
    by_hand: str,
    progress: bool,
    dryad: str,
    patience: Patience,
) -> tuple[RawFile, str]:
    """Download; return the file's entry with what the server said of it, and its sha256."""
    try:
        if raw_file.url.startswith("dryad:"):
            raw_file = _resolved_on_dryad(raw_file, dryad, patience)
        digest = _fetch(raw_file, destination, _headers(raw_file.url, dryad), progress, patience)
    except requests.HTTPError as error:
        answer = f"{error.response.status_code} {error.response.reason}"
        advice = f" ({dataset.how_to_get})" if dataset.how_to_get else ""
        raise InputError(
            f"{error.response.url} answered {answer} where {dataset.name}/{raw_file.path} was "
            f"expected: see {dataset.homepage}{advice}, or {by_hand}."
        ) from error
    except requests.RequestException as error:
        log.info("%s", error)
        why = error if isinstance(error, BrokenOff) else type(error).__name__
        raise InputError(
            f"downloading {raw_file.url} failed ({why}): check the network "
            "(nodes of a cluster often have none) and start again, which goes on from what came, "
            f"or {by_hand}."
        ) from error
    except _WrongFileError as error:
        raise InputError(
            f"{dataset.name}/{raw_file.path} from {raw_file.url} {error}: start again, or "
            f"{by_hand}."
        ) from error
    return raw_file, digest


class _WrongFileError(Exception):
    """What a server gave is not the file that the registry describes."""


def _fetch(
    raw_file: RawFile,
    destination: Path,
    headers: dict[str, str],
    progress: bool,
    patience: Patience,
) -> str:
    """Bring one address to one local file, verified; return its sha256.

    Raises
    ------
    requests.RequestException
        The server cannot be reached, answers with an error, or breaks off again and again.
    _WrongFileError
        It is another file.
    """
    expected = raw_file.bytes or raw_file.approx_bytes
    log.info(
        "downloading %s (%s)", raw_file.url, size_text(expected) if expected else "size unknown"
    )
    download = Download(
        raw_file.url,
        destination.with_name(f".{destination.name}.part"),
        headers,
        has_checksum=bool(raw_file.sha256 or raw_file.md5),
        most_bytes=raw_file.bytes or (2 * expected if expected else None),
        patience=patience,
    )
    try:
        digest, found, gone_on = _download_once(download, raw_file, destination, progress)
        if found and gone_on:
            log.warning("%s %s: its parts may be of two files; starting anew", raw_file.url, found)
            digest, found, _ = _download_once(download, raw_file, destination, progress)
    except WebPageError as error:
        raise _WrongFileError(PAGE_FOUND) from error
    if found:
        raise _WrongFileError(found)
    return digest


def _download_once(
    download: Download, raw_file: RawFile, destination: Path, progress: bool
) -> tuple[str, str | None, bool]:
    """Bring the file to `destination` if it is right, and nothing otherwise.

    Returns
    -------
    digest : str
    found : str or None
        How it differs from what the registry knows.
    gone_on : bool
        Whether it came in parts.
    """
    # Until the file is in place: gigabytes take a while to verify, too.
    with download.locked() as file:
        with tqdm(
            total=raw_file.bytes or raw_file.approx_bytes,
            desc=destination.name,
            unit="B",
            unit_scale=True,
            disable=None if progress else True,
        ) as bar:
            gone_on = download.run(file, bar)
        digest = sha256_of(download.partial)
        found = defect(download.partial, digest, raw_file)
        if not found:
            move_whole(download.partial, destination)
        download.remove()
    return digest, found, gone_on


def _headers(url: str, dryad: str) -> dict[str, str]:
    # Without `identity` a server may compress on the way, and some label a .gz file as if they
    # had: either way the bytes on the disk would not be the published ones.
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    token = os.environ.get(DRYAD_TOKEN)
    # The token is for Dryad alone; requests drops it when Dryad redirects to its storage.
    if token and urlsplit(url).netloc == urlsplit(dryad).netloc:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _resolved_on_dryad(raw_file: RawFile, dryad: str, patience: Patience) -> RawFile:
    """Find a file by its name in the newest version of a Dryad dataset (API v2).

    Returns
    -------
    RawFile
        With the download link, and the size and checksum that Dryad keeps, unless the registry
        has its own.
    """
    doi = raw_file.url.removeprefix("dryad:")
    name = Path(raw_file.path).name
    names = []
    try:
        for entry in _dryad_listing(doi, dryad, patience):
            if entry["path"] == name:
                return dataclasses.replace(
                    raw_file,
                    url=urljoin(dryad, entry["_links"]["stash:download"]["href"]),
                    bytes=raw_file.bytes or _dryad_size(entry),
                    **_dryad_checksum(raw_file, entry),
                )
            names.append(entry["path"])
    except (KeyError, TypeError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"Dryad described doi:{doi} in a form that this workflow does not know ({why}): "
            f"download {name} from https://doi.org/{doi} in a browser and put it in the mirror "
            "folder."
        ) from error
    raise InputError(
        f"the Dryad dataset doi:{doi} holds no file {name!r}, only {', '.join(names) or 'none'}: "
        "correct `path` in the registry."
    )


def _dryad_listing(doi: str, dryad: str, patience: Patience) -> Iterator[dict]:
    """Yield the entries of all files of a Dryad dataset, page after page."""
    with patience.session() as session:

        def described(link: str) -> dict:
            url = urljoin(dryad, link)
            response = session.get(
                url, headers=_headers(url, dryad), timeout=patience.timeout_seconds
            )
            response.raise_for_status()
            return response.json()

        dataset = described(f"/api/v2/datasets/{quote(f'doi:{doi}', safe='')}")
        page_link = f"{dataset['_links']['stash:version']['href']}/files"
        read = set()
        # A last page may lead to itself.
        while page_link and page_link not in read:
            read.add(page_link)
            page = described(page_link)
            yield from page["_embedded"]["stash:files"]
            page_link = page.get("_links", {}).get("next", {}).get("href")


def _dryad_size(entry: dict) -> int | None:
    """Return the bytes that Dryad counts in a file, if it says so."""
    size = entry.get("size")
    if not isinstance(size, int | None):
        raise TypeError(f"a size of {size!r}")
    return size


def _dryad_checksum(raw_file: RawFile, entry: dict) -> dict[str, str]:
    """Return the checksum that Dryad keeps of a file, under the registry's name for its kind."""
    if raw_file.sha256 or raw_file.md5:
        return {}
    kind = {"sha-256": "sha256", "md5": "md5"}.get(entry.get("digestType"))
    return {kind: entry["digest"].lower()} if kind and entry.get("digest") else {}


def why_unavailable(dataset: Dataset, raw_file: RawFile, mirror: str | Path | None) -> str:
    """Return why a raw file that is nowhere cannot be downloaded, and how a user comes by it."""
    terms = {
        "open": "has no address to download it from",
        "registration": "is given only after registration",
        "request": "is given only on request",
    }
    searched = f"is not in the mirror folder {mirror}" if mirror else "no mirror folder is given"
    return (
        f"{dataset.name}/{raw_file.path} {terms[dataset.access]} and {searched}: "
        f"{dataset.how_to_get} Or {_by_hand(dataset, raw_file, mirror)}."
    )


def _by_hand(dataset: Dataset, raw_file: RawFile, mirror: str | Path | None) -> str:
    place = f"{mirror or '<mirror>'}/{dataset.name}/{raw_file.path}"
    return f"put the file in the mirror folder as {place}"
