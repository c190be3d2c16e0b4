"""Moving the bytes of one download: waits, tries again, and goes on where it broke off.

Waiting for a server that is busy (429, 503 with Retry-After), and doubling the wait each time, are
urllib3's. What a broken connection left stays in a file beside the destination, with a note of
what it is a part of, so that a later attempt, or a later run, asks for the rest alone (RFC 9110,
sections 13.1.5 and 14). A server that gives the rest of another file is found out by the bytes
that both parts share.
"""

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from workflow.lib.acquire.datasets import size_text
from workflow.lib.acquire.verification import START_BYTES, is_web_page
from workflow.lib.errors import InputError
from workflow.lib.files import written_whole

CHUNK_BYTES = 2**20
# Of the part that is here, so many bytes are asked for again.
OVERLAP_BYTES = 2**12
# What a server may answer while it is overloaded or restarted.
PASSING_STATUSES = (408, 429, 500, 502, 503, 504)

log = logging.getLogger("workflow")


@dataclass(frozen=True)
class Patience:
    """How long a download waits, and how often it tries again.

    Attributes
    ----------
    retries : int
        Attempts after the first one, without progress between them.
    backoff_seconds, longest_wait_seconds : float
        The wait before a second retry, doubled before each other one, and its limit; a longer
        Retry-After is cut to the limit, too.
    timeout_seconds : float
        How long a server may say nothing.
    slow_seconds, slow_bytes
        A connection that gives fewer bytes in so many seconds is given up, and another opened.
    progress_bytes : int
        An attempt that brought as much counts as progress, after which retries count anew.
    """

    retries: int = 5
    backoff_seconds: float = 1.0
    longest_wait_seconds: float = 300.0
    timeout_seconds: float = 60.0
    slow_seconds: float = 60.0
    slow_bytes: int = 60_000
    progress_bytes: int = 2**20

    def session(self) -> requests.Session:
        """Return a session that tries requests again that fail before any content comes."""
        retry = Retry(
            self.retries,
            status_forcelist=PASSING_STATUSES,
            backoff_factor=self.backoff_seconds,
            backoff_max=self.longest_wait_seconds,
            retry_after_max=self.longest_wait_seconds,
            raise_on_status=False,
        )
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session

    def wait(self, n_failures: int) -> None:
        """Wait before an attempt to go on."""
        time.sleep(min(self.backoff_seconds * 2 ** (n_failures - 1), self.longest_wait_seconds))


class BrokenOff(requests.ConnectionError):
    """The content ended too early, or came too slowly."""


class WebPageError(Exception):
    """A log-in or an error came in place of the file, with a status that says nothing of it."""


class _OtherRestError(Exception):
    """What came is not the rest of the file whose first part is here."""


@dataclass(frozen=True)
class _Note:
    """What the bytes that are here are a part of.

    Attributes
    ----------
    url : str
    validator : str or None
        Strong entity tag or date of the file, by which the server knows whether it has changed.
    total : int or None
        Bytes of the whole file.
    can_go_on : bool
        False where a part is nothing to go on from.
    """

    url: str = ""
    validator: str | None = None
    total: int | None = None
    can_go_on: bool = False


@dataclass(frozen=True)
class Download:
    """One address and the file that takes its content while it comes.

    Attributes
    ----------
    url : str
    partial : Path
        Takes the content; a note stands beside it.
    headers : mapping
        Of the request.
    has_checksum : bool
        Whether the whole file can be verified. Otherwise one without an entity tag or a date
        starts anew after a break.
    most_bytes : int or None
        After so many bytes reading stops: it is another file.
    patience : Patience
    """

    url: str
    partial: Path
    headers: Mapping[str, str]
    has_checksum: bool
    most_bytes: int | None
    patience: Patience

    @contextlib.contextmanager
    def locked(self) -> Iterator[BinaryIO]:
        """Open `partial` to append to, which no other process then writes, moves or removes.

        A run that is killed can leave a download that goes on.

        Raises
        ------
        InputError
            Another process downloads the file.
        """
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        with _opened_alone(self.partial) as file:
            try:
                yield file
            except BaseException:
                if _size(file) == 0:
                    self.partial.unlink(missing_ok=True)
                raise

    def run(self, file: BinaryIO, bar: tqdm) -> bool:
        """Bring the whole content; return whether a part of it was gone on from.

        Parameters
        ----------
        file : as `locked` gives it
        bar : tqdm

        Raises
        ------
        requests.RequestException
            The server cannot be reached, answers with an error, or breaks off again and again.
            What came stays in `partial`.
        InputError
            The disk is too small.
        WebPageError
            A web page came in its place. What had come before stays in `partial`.
        """
        n_failures, from_start = 0, False
        with self.patience.session() as session:
            furthest = _size(file)
            while True:
                note = _Note() if from_start else self._read_note()
                try:
                    return self._attempt(session, file, note, bar)
                except _OtherRestError as error:
                    log.warning("%s: %s; starting anew", self.url, error)
                    from_start = True
                except BrokenOff as error:
                    gained, furthest = _size(file) - furthest, max(furthest, _size(file))
                    n_failures = 0 if gained >= self.patience.progress_bytes else n_failures + 1
                    if n_failures > self.patience.retries:
                        raise
                    log.warning("%s: %s after %s", self.url, error, size_text(_size(file)))
                    self.patience.wait(max(n_failures, 1))

    def remove(self) -> None:
        """Remove what came."""
        self.partial.unlink(missing_ok=True)
        self._note_file.unlink(missing_ok=True)

    @property
    def _note_file(self) -> Path:
        return self.partial.with_name(f"{self.partial.name}.json")

    def _read_note(self) -> _Note:
        with contextlib.suppress(OSError, ValueError, TypeError):
            note = _Note(**json.loads(self._note_file.read_text(encoding="utf-8")))
            if note.url == self.url:
                return note
        return _Note()

    def _attempt(self, session: requests.Session, file: BinaryIO, note: _Note, bar: tqdm) -> bool:
        """Ask once for what is missing; return whether it was the rest of what is here."""
        start = max(_size(file) - OVERLAP_BYTES, 0) if note.can_go_on else 0
        headers = dict(self.headers)
        if start:
            headers["Range"] = f"bytes={start}-"
            if note.validator:
                headers["If-Range"] = note.validator
        with self._answer(session, headers) as response:
            if response.status_code == 416 and "Range" in headers:
                raise _OtherRestError("the server has no such range")
            response.raise_for_status()
            content = _content(response, self.patience)
            is_rest = "Range" in headers and response.status_code == 206
            if is_rest:
                total = _check_range(response, start, note)
                _check_overlap(file, content, start)
            else:
                total = self._start_anew(response, file, content)
            self._check_space(total, file)
            self._append(file, content, total, bar)
        return is_rest

    def _answer(self, session: requests.Session, headers: dict[str, str]) -> requests.Response:
        """Return the answer to a request, of which the head alone has come."""
        try:
            return session.get(
                self.url, headers=headers, stream=True, timeout=self.patience.timeout_seconds
            )
        except requests.RequestException:
            raise
        except ValueError as error:
            # An address to go on to that cannot be read.
            raise BrokenOff("the answer of the server makes no sense") from error

    def _start_anew(
        self, response: requests.Response, file: BinaryIO, content: Iterator[bytes]
    ) -> int | None:
        """Begin the file with an answer that holds all of it; return its size, if known."""
        if response.status_code == 206:
            raise BrokenOff("the server gave a part where the whole was asked for")
        first = _at_least(START_BYTES, content)
        # A log-in page must not replace gigabytes that are here.
        if (_size(file) or not self.has_checksum) and is_web_page(
            first, self.partial.stem, response.headers.get("Content-Type", "")
        ):
            raise WebPageError
        packed = _is_packed_on_the_way(response)
        length = response.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch("[0-9]+", length) and not packed else None
        validator = _validator(response)
        # Nothing here may pass for a part of the file that the note will tell of.
        file.truncate(0)
        can_go_on = not packed and (validator is not None or self.has_checksum)
        note = _Note(self.url, validator, total, can_go_on)
        with written_whole(self._note_file) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(note)), encoding="utf-8")
        file.write(first)
        file.flush()
        return total

    def _check_space(self, total: int | None, file: BinaryIO) -> None:
        free = shutil.disk_usage(self.partial.parent).free
        missing = (total or 0) - _size(file)
        if missing > free:
            raise InputError(
                f"{self.partial.parent}: found {size_text(free)} of free disk, expected at least "
                f"{size_text(missing)} for the rest of {self.url}; make room and start again"
            )

    def _append(
        self, file: BinaryIO, content: Iterator[bytes], total: int | None, bar: tqdm
    ) -> None:
        bar.total = total or bar.total
        for chunk in content:
            file.write(chunk)
            # What came is there for the next attempt, whatever ends this one.
            file.flush()
            bar.n = file.tell()
            bar.update(0)
            if self.most_bytes is not None and file.tell() > self.most_bytes:
                return
        # An answer that is whole by its Content-Length may yet be a part of what was asked for.
        if total is not None and file.tell() != total:
            raise BrokenOff("the server gave a part of the rest")


def _opened_alone(partial: Path) -> BinaryIO:
    """Open a file to append to, and lock it until it is closed."""
    while True:
        file = open(partial, "a+b")  # noqa: SIM115, the caller closes it
        try:
            _lock(file, partial)
            # What was opened may have become the file in place before it was locked.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), partial.stat()):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: BinaryIO, partial: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"{partial}: found another process that downloads this file, expected none; wait "
            "until it ends, or end it"
        ) from error
    except OSError:
        log.info("%s: this disk knows no locks", partial)


def _content(response: requests.Response, patience: Patience) -> Iterator[bytes]:
    """Yield the content as it comes; raise BrokenOff where it ends early or trickles."""
    decode = _is_packed_on_the_way(response)
    since, n_bytes = time.monotonic(), 0
    try:
        # Unlike `read`, it does not hold back what came until a whole chunk is there.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=decode):
            yield chunk
            n_bytes += len(chunk)
            if time.monotonic() - since > patience.slow_seconds:
                if n_bytes < patience.slow_bytes:
                    raise BrokenOff(f"only {n_bytes} bytes in {patience.slow_seconds:g} s")
                since, n_bytes = time.monotonic(), 0
    except HTTPError as error:
        raise BrokenOff("the connection broke off") from error


def _at_least(n_bytes: int, content: Iterator[bytes]) -> bytes:
    """Return so many bytes of the content and what came with them, fewer only at its end."""
    found = b""
    while len(found) < n_bytes and (chunk := next(content, b"")):
        found += chunk
    return found


def _is_packed_on_the_way(response: requests.Response) -> bool:
    """Return whether the server packed a file, which nobody asked for.

    Some call a .gz file packed content: that one must stay as it is.
    """
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    return encoding != "identity" and not response.url.partition("?")[0].endswith((".gz", ".tgz"))


def _validator(response: requests.Response) -> str | None:
    """Return what names this version of the file: its strong entity tag, or else its date."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _check_range(response: requests.Response, start: int, note: _Note) -> int | None:
    """Return the size of the whole file, if it is known.

    Raises
    ------
    _OtherRestError
        The answer is another range, or one of another file.
    """
    stated = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", stated)
    if not found or int(found[1]) != start:
        raise _OtherRestError(f"asked for bytes from {start}, the server gave {stated!r}")
    total = None if found[2] == "*" else int(found[2])
    validator = _validator(response)
    if (total or note.total) != (note.total or total) or (
        note.validator and validator not in (None, note.validator)
    ):
        raise _OtherRestError("the file has changed since the first part came")
    return total or note.total


def _check_overlap(file: BinaryIO, content: Iterator[bytes], start: int) -> None:
    """Compare the bytes that come again, and append what follows them.

    Raises
    ------
    _OtherRestError
        They are others.
    """
    file.seek(start)
    expected = file.read(OVERLAP_BYTES)
    found = _at_least(len(expected), content)
    if found[: len(expected)] != expected:
        raise _OtherRestError("what the server gave does not follow on what is here")
    file.write(found[len(expected) :])


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)
