"""Downloads from servers that misbehave: the right file or none, and no byte twice without need."""

import email.utils
import fcntl
import hashlib
import shutil
import time
from collections import namedtuple

import pytest

from tests.unit.misbehaving_server import (
    CONTENT,
    OTHER,
    SHA256,
    chunked,
    cut,
    endless,
    hesitant,
    lying,
    misbehaving,
    mismeasured,
    packed,
    part_of_range,
    ranged,
    ranged_of_unsaid_total,
    reset,
    silent,
    status,
    trickle,
    unranged,
    whole,
)
from workflow.lib.acquire import fetch as fetch_module
from workflow.lib.acquire.datasets import Dataset, RawFile
from workflow.lib.acquire.fetch import fetch_file
from workflow.lib.acquire.transfer import OVERLAP_BYTES, Patience
from workflow.lib.errors import InputError

PATIENCE = Patience(retries=3, backoff_seconds=1, progress_bytes=50_000)
# Versions of a file, as servers name them that know no entity tags.
DATE, LATER = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
WEB_PAGE = b"<!DOCTYPE html><title>Accept our terms</title>" + bytes(1000)
# How a log-in or an error may come with status 200. (body, type)
PAGES = {
    "HTML": (WEB_PAGE, "application/octet-stream"),
    "XHTML": (b'<?xml version="1.0" encoding="UTF-8"?>\n' + WEB_PAGE, "application/xml"),
    "byte order mark": (b"\xef\xbb\xbf" + WEB_PAGE, "application/octet-stream"),
    "comment": (b"\n<!-- Portal\n 2.0 -->\n<html><body>" + bytes(1000), "text/plain"),
    "no document type": (b"<head><title>Log in</title></head>" + bytes(1000), "text/plain"),
    "error in JSON": (b'{"error": "log in"}', "text/html; charset=utf-8"),
}


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Let nothing wait, and return the waits that were asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asked = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "toy" / "run-1.bin"


def fetch(server, destination, *, patience=PATIENCE, **facts):
    raw_file = RawFile("run-1.bin", url=f"{server.url}/run-1.bin", **facts)
    dataset = Dataset(
        name="toy",
        title="Toy",
        licence="CC0-1.0",
        citation="Nobody 2024",
        homepage="https://example.org/toy",
        access="open",
        files=(raw_file,),
    )
    return fetch_file(dataset, raw_file, destination, patience=patience)


def assert_whole(destination, content=CONTENT):
    """Check that the file is right, and that nothing of the attempts is left."""
    assert destination.read_bytes() == content
    assert list(destination.parent.iterdir()) == [destination]


def starts(server):
    """Return where the ranges began that the server was asked for, None for the whole."""
    asked = [headers.get("Range") for _, headers in server.requests]
    return [int(text.removeprefix("bytes=").removesuffix("-")) if text else None for text in asked]


# What one good answer in the end makes good. (behaviours, most bytes that are to be sent)

SURVIVED = {
    "cut once": ([cut(90_000), whole()], 1),
    "cut again and again": ([cut(60_000), cut(60_000), cut(60_000), cut(60_000), whole()], 4),
    "cut in the bytes that come again": ([cut(90_000), cut(1_000), whole()], 2),
    "cut after the head": ([cut(0), whole()], 0),
    "reset before any word": ([reset(), reset(), whole()], 0),
    "reset in the middle": ([reset(90_000), whole()], None),
    "pieces that end too early": ([chunked(4, ends=False), whole(tag=None)], None),
    "pieces": ([chunked(10, ends=True)], None),
    "408": ([status(408), whole()], 0),
    "429": ([status(429, Retry_After="7"), whole()], 0),
    "500": ([status(500), whole()], 0),
    "503": ([status(503), status(503, Retry_After="2"), whole()], 0),
    "503 while it goes on": ([cut(90_000), status(503), whole()], 1),
    "redirects": ([status(302, Location="/a"), status(307, Location="/b"), whole()], 0),
    "redirect while it goes on": ([cut(90_000), status(302, Location="/a"), whole()], 1),
    "no ranges": ([unranged(cut_at=90_000), unranged()], None),
    "ranges no more": ([cut(90_000), unranged()], None),
    **{
        f"range that lies: {kind}": ([cut(90_000), lying(kind), lying(kind)], None)
        for kind in ("another start", "bytes of the beginning", "another total", "no range stated")
    },
    "parts of the range": ([cut(90_000), part_of_range(60_000)], 2),
    "range of a total that is not said": ([cut(90_000), ranged_of_unsaid_total], 1),
    "no such range": ([cut(90_000), status(416), whole()], None),
    "a range that nobody asked for": ([status(206), whole()], 0),
    "length that is no number": ([mismeasured], None),
    "packed on the way": ([packed()], None),
}


@pytest.mark.parametrize("has_checksum", [True, False])
@pytest.mark.parametrize("fault", SURVIVED)
def test_file_is_whole_in_the_end(destination, fault, has_checksum):
    behaviours, n_gone_on = SURVIVED[fault]
    with misbehaving(*behaviours) as server:
        digest = fetch(server, destination, **({"sha256": SHA256} if has_checksum else {}))
        assert digest == SHA256
        assert_whole(destination)
        if n_gone_on is not None:
            most = len(CONTENT) + n_gone_on * OVERLAP_BYTES
            assert server.n_bytes <= most + 100


def test_going_on_asks_for_the_rest_alone(destination):
    with misbehaving(cut(90_000), whole()) as server:
        fetch(server, destination)
        assert starts(server) == [None, 90_000 - OVERLAP_BYTES]
        assert server.requests[1][1]["If-Range"] == '"v1"'
        assert server.n_bytes == len(CONTENT) + OVERLAP_BYTES


def test_later_run_goes_on_where_an_earlier_one_stopped(destination):
    """As after a night without network: other processes, the same file."""
    hasty = Patience(retries=0)
    with misbehaving(cut(90_000), cut(50_000), whole()) as server:
        for _ in range(2):
            with pytest.raises(InputError, match="start again, which goes on from what came"):
                fetch(server, destination, patience=hasty)
            assert not destination.exists()
        fetch(server, destination, patience=hasty)
        assert_whole(destination)
        assert starts(server) == [None, 90_000 - 4096, 140_000 - 2 * 4096]
        assert server.n_bytes == len(CONTENT) + 2 * OVERLAP_BYTES


def test_without_tag_date_or_checksum_it_starts_anew(destination):
    with misbehaving(unranged(cut_at=90_000), unranged()) as server:
        fetch(server, destination)
        assert starts(server) == [None, None]


def test_checksum_is_enough_to_go_on(destination):
    with misbehaving(cut(90_000, tag=None), whole(tag=None)) as server:
        fetch(server, destination, sha256=SHA256)
        assert starts(server) == [None, 90_000 - OVERLAP_BYTES]


def test_date_is_enough_to_go_on(destination):
    with misbehaving(cut(90_000, tag=DATE), whole(tag=DATE)) as server:
        fetch(server, destination)
        assert starts(server) == [None, 90_000 - OVERLAP_BYTES]
        assert server.requests[1][1]["If-Range"] == DATE
    assert_whole(destination)


@pytest.mark.parametrize("then", [packed(), whole()], ids=["packed", "as it is"])
def test_what_was_packed_on_the_way_is_nothing_to_go_on_from(destination, then):
    """Its bytes are other ones than those that a range would count."""
    with misbehaving(packed(cut_at=90_000), then) as server:
        fetch(server, destination, sha256=SHA256)
        assert starts(server) == [None, None]
    assert_whole(destination)


def test_every_piece_is_on_the_disk_before_the_next_one_comes(destination):
    """A process that is killed leaves nothing else."""
    part = destination.with_name(".run-1.bin.part")
    sizes = []

    def watching(handler):
        body = ranged(handler, CONTENT, '"v1"')
        for end in (1_000, 2_000, 3_000):
            handler.give(body[end - 1_000 : end])
            give_up = time.monotonic() + 5
            while part.stat().st_size < end and time.monotonic() < give_up:
                handler.server.stopped.wait(0.01)
            sizes.append(part.stat().st_size)
        handler.give(body[3_000:])

    with misbehaving(watching) as server:
        fetch(server, destination)
    assert sizes == [1_000, 2_000, 3_000]


def test_weak_tag_is_none(destination):
    """RFC 9110, section 13.1.5: equal weak tags do not mean equal bytes."""
    with misbehaving(cut(90_000, tag='W/"v1"'), whole(tag='W/"v1"')) as server:
        fetch(server, destination)
        assert starts(server) == [None, None]


# A file that changes between attempts.


@pytest.mark.parametrize("tags", [('"v1"', '"v2"'), (DATE, LATER), (None, None)])
def test_file_that_changed_is_the_new_one_whole(destination, tags):
    facts = {"sha256": hashlib.sha256(OTHER).hexdigest()}
    old, new = tags
    with misbehaving(cut(90_000, tag=old), whole(OTHER, new)) as server:
        fetch(server, destination, **facts)
    assert_whole(destination, OTHER)


@pytest.mark.parametrize(("old", "new"), [('"v1"', '"v2"'), (DATE, LATER)])
def test_server_that_ignores_if_range_is_found_out_by_tag_or_date(destination, old, new):
    """The end is the same in both versions: nothing else tells them apart."""
    changed = OTHER[:50_000] + CONTENT[50_000:]

    def careless(handler):
        del handler.headers["If-Range"]
        whole(changed, new)(handler)

    with misbehaving(cut(90_000, tag=old), careless) as server:
        fetch(server, destination)
    assert_whole(destination, changed)


def test_change_before_the_break_is_found_by_the_checksum_and_starts_anew(destination):
    """The end is the same in both versions, so that the bytes that come again are, too."""
    changed = OTHER[:50_000] + CONTENT[50_000:]
    with misbehaving(cut(90_000, changed), whole()) as server:
        fetch(server, destination, sha256=SHA256)
        assert starts(server) == [None, 90_000 - OVERLAP_BYTES, None]
    assert_whole(destination)


# What nothing makes good.

REFUSED = {
    "wrong checksum": ([whole(OTHER)], {"sha256": SHA256}, "has the sha256"),
    "wrong checksum of parts": ([cut(90_000, OTHER), whole(OTHER)], {"sha256": SHA256}, "sha256"),
    **{
        f"web page: {kind}": (
            [status(200, body, Content_Type=called)],
            {"approx_bytes": len(body)},
            "is a web page",
        )
        for kind, (body, called) in PAGES.items()
    },
    "endless": ([endless], {"approx_bytes": 50_000}, r"has \d+ bytes, expected about 50000"),
    "too long": ([whole()], {"bytes": 199_999}, "has 200000 bytes, expected 199999"),
    "always cut": ([cut(1_000)], {}, r"failed \(the connection broke off\)"),
    "cut before the overlap ends": ([cut(90_000), cut(10)], {}, "the connection broke off"),
    "always reset": ([reset()], {}, r"failed \(ConnectionError\): check the network"),
    "always busy": ([status(429, Retry_After="1")], {}, "answered 429 Too Many Requests"),
    "always down": ([status(503)], {}, "answered 503 Service Unavailable"),
    "circle": ([status(302, Location="/run-1.bin")], {}, r"failed \(TooManyRedirects\)"),
    "senseless address": ([status(302, Location="http://[bad")], {}, "makes no sense"),
    "always a part": ([status(206)], {}, "a part where the whole was asked for"),
    "gone": ([status(410)], {}, "answered 410 Gone"),
    "senseless wait": ([status(503, Retry_After="soon")], {}, r"failed \(InvalidHeader\)"),
    "silence": ([silent], {}, r"failed \(ConnectionError\): check the network"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_wrong_file_is_never_in_place(destination, fault):
    behaviours, facts, message = REFUSED[fault]
    destination.parent.mkdir()
    destination.write_bytes(b"before")
    patience = Patience(retries=2, timeout_seconds=0.1)
    with (
        misbehaving(*behaviours) as server,
        pytest.raises(InputError, match=message) as caught,
    ):
        fetch(server, destination, patience=patience, **facts)
    assert "put the file in the mirror folder as <mirror>/toy/run-1.bin" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert destination.read_bytes() == b"before"


@pytest.mark.parametrize("has_checksum", [True, False])
@pytest.mark.parametrize("given", [status, hesitant], ids=["at once", "a few bytes first"])
@pytest.mark.parametrize("kind", PAGES)
def test_log_in_page_does_not_replace_what_came(destination, kind, given, has_checksum):
    hasty, (body, called) = Patience(retries=0), PAGES[kind]
    facts = {"sha256": SHA256} if has_checksum else {}
    page = given(200, body, Content_Type=called)
    with misbehaving(cut(150_000), page, whole()) as server:
        for message in ("failed", "is a web page"):
            with pytest.raises(InputError, match=message):
                fetch(server, destination, patience=hasty, **facts)
        fetch(server, destination, **facts)
        assert starts(server)[-1] == 150_000 - OVERLAP_BYTES
    assert_whole(destination)


def test_checksum_tells_a_file_from_a_page_whatever_the_server_calls_it(destination):
    """Some servers call all that they do not know a web page."""
    with misbehaving(status(200, CONTENT, Content_Type="text/html")) as server:
        with pytest.raises(InputError, match="is a web page"):
            fetch(server, destination)
        fetch(server, destination, sha256=SHA256)
    assert_whole(destination)


def test_slow_server_is_asked_again_and_given_up(destination):
    patience = Patience(retries=2, slow_seconds=0.05, slow_bytes=10_000)
    with (
        misbehaving(trickle(100, 0.01)) as server,
        pytest.raises(InputError, match=r"failed \(only \d+ bytes in 0\.05 s"),
    ):
        fetch(server, destination, patience=patience)
    assert len(server.requests) == 3
    with misbehaving(trickle(6_000, 0.01), whole()) as server:
        fetch(server, destination, patience=patience)
    assert_whole(destination)


# Waits.


def test_waits_between_breaks_double_up_to_a_limit(destination, waits):
    patience = Patience(retries=5, backoff_seconds=1, longest_wait_seconds=5)
    with misbehaving(*[cut(1_000)] * 5, whole()) as server:
        fetch(server, destination, patience=patience)
    assert waits == [1, 2, 4, 5, 5]


def test_progress_lets_retries_count_anew(destination):
    patience = Patience(retries=1, progress_bytes=20_000)
    with misbehaving(*[cut(30_000)] * 6, whole()) as server:
        fetch(server, destination, patience=patience)
        assert len(server.requests) == 7
    assert_whole(destination)


def test_waits_of_a_busy_server_double_up_to_a_limit(destination, waits):
    patience = Patience(retries=5, backoff_seconds=1, longest_wait_seconds=5)
    with misbehaving(*[status(503)] * 5, whole()) as server:
        fetch(server, destination, patience=patience)
    assert waits == [2, 4, 5, 5]


@pytest.mark.parametrize(("said", "expected"), [("7", 7), ("86400", 300)])
@pytest.mark.parametrize("code", [429, 503])
def test_server_is_waited_for_as_long_as_it_says(destination, waits, code, said, expected):
    with misbehaving(status(code, Retry_After=said), whole()) as server:
        fetch(server, destination)
    assert waits == [expected]


def test_server_is_waited_for_until_the_date_that_it_says(destination, waits):
    date = email.utils.formatdate(time.time() + 200, usegmt=True)
    with misbehaving(status(503, Retry_After=date), whole()) as server:
        fetch(server, destination)
    assert waits == [pytest.approx(200, abs=100)]


# This machine.


def test_two_processes_do_not_write_one_file(destination):
    destination.parent.mkdir()
    with (
        open(destination.with_name(".run-1.bin.part"), "ab") as held,
        misbehaving(whole()) as server,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="found another process that downloads this file"):
            fetch(server, destination)
        assert server.requests == []


def test_second_process_is_refused_while_the_first_one_verifies(destination, monkeypatch):
    """Which takes minutes for gigabytes."""
    real, asked = fetch_module.sha256_of, []

    def verifying(path):
        if not asked:
            asked.append(path)
            with pytest.raises(InputError, match="found another process that downloads this file"):
                fetch(server, destination)
        return real(path)

    monkeypatch.setattr(fetch_module, "sha256_of", verifying)
    with misbehaving(whole()) as server:
        fetch(server, destination)
    assert asked
    assert_whole(destination)


def test_file_that_another_process_puts_in_place_is_not_written(destination, monkeypatch):
    """Between the moment that the part is opened and the moment that it is locked."""
    part, real = destination.with_name(".run-1.bin.part"), fcntl.flock
    destination.parent.mkdir()
    part.write_bytes(CONTENT)

    def late(file, operation):
        if not destination.exists():
            part.rename(destination)
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with misbehaving(whole(OTHER)) as server, pytest.raises(InputError, match="has the sha256"):
        fetch(server, destination, sha256=SHA256)
    assert_whole(destination)


def test_file_that_the_disk_cannot_hold_is_not_begun(destination, monkeypatch):
    Usage = namedtuple("Usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1_000))
    with (
        misbehaving(whole()) as server,
        pytest.raises(InputError, match=r"found 1 kB of free disk, expected at least \d+ kB"),
    ):
        fetch(server, destination)
    assert not destination.exists()


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 1}', '{"other": 1}'])
def test_note_that_is_damaged_counts_for_nothing(destination, note):
    """A power cut may leave it so."""
    with misbehaving(cut(90_000), whole(), whole()) as server:
        with pytest.raises(InputError):
            fetch(server, destination, patience=Patience(retries=0))
        destination.with_name(".run-1.bin.part.json").write_text(note)
        fetch(server, destination)
        assert starts(server) == [None, None]
    assert_whole(destination)


def test_part_that_a_power_cut_damaged_is_found_out(destination):
    """The last bytes are zeros, as some disks leave them."""
    with misbehaving(cut(90_000), whole()) as server:
        with pytest.raises(InputError):
            fetch(server, destination, patience=Patience(retries=0))
        part = destination.with_name(".run-1.bin.part")
        part.write_bytes(part.read_bytes()[:-500] + bytes(500))
        fetch(server, destination)
    assert_whole(destination)
