"""Bringing raw files in: from a mirror, over http, through Dryad, and every way it can fail."""

import contextlib
import errno
import gzip
import hashlib
import http.server
import json
import logging
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from scripts.acquire.acquire_file import acquire_registered_files
from workflow.lib.acquire import fetch as acquire
from workflow.lib.acquire.datasets import Dataset, RawFile
from workflow.lib.acquire.fetch import acquire_files, fetch_file
from workflow.lib.acquire.kept_files import keep_files, kept_path, release_files
from workflow.lib.acquire.transfer import Patience
from workflow.lib.errors import InputError

CONTENT = b"beta,1\nbeta,2\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
# Nothing waits in these tests.
HASTE = Patience(retries=2, backoff_seconds=0)
WEB_PAGE = b"\n<!DOCTYPE html><html><title>Log in</title></html>"
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(range(200))


@contextlib.contextmanager
def running_server():
    """Serve `server.replies`, path -> (status, headers, body); record `server.requests`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append((self.path, dict(self.headers)))
            status, headers, body = self.server.replies.get(self.path, (404, {}, b"no such file"))
            if self.path.endswith(".gz") and "gzip" in self.headers["Accept-Encoding"]:
                headers = {**headers, "Content-Encoding": "gzip"}
            self.send_response(status)
            for name, value in {"Content-Length": len(body), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.replies, server.requests = {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(acquire.DRYAD_TOKEN, raising=False)
    with running_server() as running:
        yield running


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "resources" / "toy" / "run-1.csv"


def toy(raw_file, access="open", how_to_get=None):
    return Dataset(
        name="toy",
        title="Toy",
        licence="CC0-1.0",
        citation="Nobody 2024",
        homepage="https://example.org/toy",
        access=access,
        files=(raw_file,),
        how_to_get=how_to_get,
    )


def acquire_one(raw_file, destination, **options):
    return fetch_file(toy(raw_file), raw_file, destination, **{"patience": HASTE} | options)


def served(server, body=CONTENT, status=200, headers=None, name="run-1.csv", **facts):
    """Have the server give `body` and return the registry's entry for it."""
    server.replies[f"/{name}"] = (status, headers or {}, body)
    return RawFile(name, url=f"{server.url}/{name}", **facts)


def assert_nothing_left(destination):
    assert not destination.parent.exists() or list(destination.parent.iterdir()) == []


# Downloads.


def test_download_puts_the_file_and_its_checksum_in_place(server, destination, tmp_path):
    raw_file = served(server, bytes=len(CONTENT), sha256=SHA256)
    resources = tmp_path / "resources"
    assert acquire_files(toy(raw_file), [raw_file], resources) == {"run-1.csv": SHA256}
    assert destination.read_bytes() == CONTENT
    sidecar = destination.with_name("run-1.csv.sha256")
    assert sidecar.read_text() == f"{SHA256}  run-1.csv\n"
    assert sorted(destination.parent.iterdir()) == [destination, sidecar]
    release_files(resources)
    assert list(resources.iterdir()) == [destination.parent]


def test_download_says_who_asks_and_wants_the_published_bytes(server, destination):
    acquire_one(served(server), destination)
    [(_, headers)] = server.requests
    assert headers["User-Agent"].startswith("deepnet-fmri-rsa python-requests/")
    assert headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in headers


def test_gzip_file_is_not_unpacked_on_the_way(server, destination):
    """Some servers call a .gz file compressed content, as the one of these tests does."""
    packed = gzip.compress(CONTENT)
    acquire_one(served(server, packed, name="run-1.csv.gz"), destination)
    assert destination.read_bytes() == packed


def test_md5_is_enough_where_it_is_all_there_is(server, destination):
    assert acquire_one(served(server, md5=MD5), destination) == SHA256


def test_checksum_that_nobody_publishes_is_recorded_and_said(server, destination, caplog):
    with caplog.at_level(logging.INFO):
        acquire_one(served(server), destination)
    assert "no checksum of run-1.csv is published" in caplog.text
    assert SHA256 in caplog.text


def test_known_checksum_needs_no_word(server, destination, caplog):
    with caplog.at_level(logging.INFO):
        acquire_one(served(server, sha256=SHA256), destination)
    assert "no checksum" not in caplog.text


def test_existing_file_is_replaced_only_by_a_right_one(server, destination):
    destination.parent.mkdir(parents=True)
    destination.write_bytes(b"before")
    with pytest.raises(InputError):
        acquire_one(served(server, bytes=99), destination)
    assert destination.read_bytes() == b"before"
    acquire_one(served(server), destination)
    assert destination.read_bytes() == CONTENT


# Files that are not what the registry describes.


@pytest.mark.parametrize(
    ("body", "facts", "message"),
    [
        (CONTENT, {"bytes": 15}, "has 14 bytes, expected 15"),
        (CONTENT, {"approx_bytes": 29}, "has 14 bytes, expected about 29"),
        (CONTENT, {"approx_bytes": 6}, "has 14 bytes, expected about 6"),
        (CONTENT, {"sha256": "0" * 64}, f"has the sha256 {SHA256}, expected {'0' * 64}"),
        (CONTENT, {"md5": "0" * 32}, f"has the md5 {MD5}, expected {'0' * 32}"),
        (CONTENT, {"bytes": 14, "sha256": "0" * 64}, "has the sha256"),
        (WEB_PAGE, {}, "is a web page"),
        (WEB_PAGE, {"sha256": SHA256}, "is a web page"),
        (b"<html>", {}, "is a web page"),
        (b"", {}, "is empty"),
    ],
)
def test_wrong_file_is_refused_and_not_left_behind(server, destination, body, facts, message):
    raw_file = served(server, body, **facts)
    with pytest.raises(InputError, match=message) as caught:
        acquire_one(raw_file, destination)
    assert str(caught.value).startswith(f"toy/run-1.csv from {server.url}/run-1.csv ")
    assert "put the file in the mirror folder as <mirror>/toy/run-1.csv" in str(caught.value)
    assert_nothing_left(destination)


def test_rounded_size_lets_the_real_one_pass(server, destination):
    acquire_one(served(server, approx_bytes=16), destination)
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["a.h5", "a.nii.gz", "a.npy", "a.npz", "a.zip"])
def test_error_message_in_place_of_a_binary_file_is_refused(server, destination, name):
    raw_file = served(server, b'{"error": "come back later"}', name=name)
    with pytest.raises(InputError, match=r"begins with .*not as a \.\w+ file does"):
        acquire_one(raw_file, destination)
    assert_nothing_left(destination)


def test_hdf5_file_passes(server, destination):
    acquire_one(served(server, HDF5, name="a.h5"), destination)
    assert destination.read_bytes() == HDF5


# Servers that fail.


@pytest.mark.parametrize("status", [403, 404, 500])
def test_http_error_is_reported_with_its_status(server, destination, status):
    raw_file = served(server, status=status)
    dataset = toy(raw_file, how_to_get="The archive moved once.")
    with pytest.raises(InputError, match=rf"/run-1\.csv answered {status} ") as caught:
        fetch_file(dataset, raw_file, destination, mirror=None, patience=HASTE)
    assert "https://example.org/toy (The archive moved once.)" in str(caught.value)
    assert_nothing_left(destination)


def test_no_network_says_what_else_to_do(destination):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        # Bound but not listening: connections are refused.
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/run-1.csv"
        with pytest.raises(InputError, match=r"failed \(ConnectionError\): check the network"):
            acquire_one(RawFile("run-1.csv", url=url), destination)
    assert_nothing_left(destination)


def test_download_that_breaks_off_is_not_taken_for_the_file(server, destination):
    raw_file = served(server, headers={"Content-Length": 1000})
    with pytest.raises(
        InputError, match=r"downloading .* failed \(the connection broke off\).*goes on from what"
    ):
        acquire_one(raw_file, destination)
    assert not destination.exists()
    # One attempt, and as many again as there is patience for.
    assert len(server.requests) == 1 + HASTE.retries


# The mirror.


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "run-1.csv").write_bytes(CONTENT)
    return folder


def test_mirror_comes_first(server, destination, mirror):
    raw_file = served(server, b"another file", sha256=SHA256)
    acquire_one(raw_file, destination, mirror=mirror)
    assert destination.read_bytes() == CONTENT
    assert server.requests == []


def test_file_that_the_mirror_lacks_is_downloaded(server, destination, mirror):
    acquire_one(served(server, HDF5, name="a.h5"), destination, mirror=mirror)
    assert destination.read_bytes() == HDF5


def test_wrong_file_in_the_mirror_is_named(server, destination, mirror):
    """It is not silently replaced by a download: the mirror is what the next run reads too."""
    raw_file = served(server, sha256="0" * 64)
    with pytest.raises(InputError, match=r"mirror/toy/run-1\.csv has the sha256 .*replace it"):
        acquire_one(raw_file, destination, mirror=mirror)
    assert_nothing_left(destination)
    assert server.requests == []


def test_mirror_that_does_not_exist_is_refused_before_any_download(server, destination, tmp_path):
    with pytest.raises(InputError, match=r"mirror folder .*nowhere does not exist"):
        acquire_one(served(server), destination, mirror=tmp_path / "nowhere")
    assert server.requests == []


@pytest.mark.parametrize(
    ("access", "terms"),
    [
        ("open", "has no address to download it from"),
        ("registration", "is given only after registration"),
        ("request", "is given only on request"),
    ],
)
def test_file_without_address_says_how_to_get_it(destination, mirror, access, terms):
    raw_file = RawFile("secret.npy")
    dataset = toy(raw_file, access, "Register at https://example.org and set `source: path`.")
    with pytest.raises(InputError) as caught:
        fetch_file(dataset, raw_file, destination, mirror=mirror)
    assert str(caught.value) == (
        f"toy/secret.npy {terms} and is not in the mirror folder {mirror}: Register at "
        "https://example.org and set `source: path`. Or put the file in the mirror folder as "
        f"{mirror}/toy/secret.npy."
    )
    assert_nothing_left(destination)


def test_file_of_a_closed_dataset_comes_from_the_mirror(destination, mirror):
    raw_file = RawFile("run-1.csv")
    fetch_file(toy(raw_file, "registration", "Ask."), raw_file, destination, mirror=mirror)
    assert destination.read_bytes() == CONTENT


# Dryad.

DOI = "10.5061/dryad.toy"


@pytest.fixture
def dryad(server):
    """Serve the parts of Dryad's API v2 that lead to files, two files to a page."""

    def entry(number, name, body, **facts):
        server.replies[f"/api/v2/files/{number}/download"] = (200, {}, body)
        return {
            "path": name,
            "size": len(body),
            "digestType": "sha-256",
            "digest": hashlib.sha256(body).hexdigest(),
            "_links": {"stash:download": {"href": f"/api/v2/files/{number}/download"}},
            **facts,
        }

    entries = [
        entry(1, "README.md", b"read me"),
        entry(2, "a.h5", HDF5),
        entry(3, "run-1.csv", CONTENT),
        entry(4, "changed.csv", CONTENT, digest="0" * 64),
        entry(5, "short.csv", CONTENT, size=15),
        entry(6, "md5.csv", CONTENT, digestType="md5", digest="0" * 32),
        entry(7, "plain.csv", CONTENT, digestType=None, digest=None),
    ]
    replies = {
        f"/api/v2/datasets/{quote(f'doi:{DOI}', safe='')}": {
            "_links": {"stash:version": {"href": "/api/v2/versions/42"}}
        }
    }
    pages = [entries[start : start + 2] for start in range(0, len(entries), 2)]
    for number, page in enumerate(pages, start=1):
        link = "/api/v2/versions/42/files" + (f"?page={number}" if number > 1 else "")
        onward = {"next": {"href": f"/api/v2/versions/42/files?page={number + 1}"}}
        replies[link] = {
            "_links": onward if number < len(pages) else {},
            "_embedded": {"stash:files": page},
        }
    for link, reply in replies.items():
        server.replies[link] = (200, {}, json.dumps(reply).encode())
    return server


def from_dryad(dryad, name, destination, **facts):
    raw_file = RawFile(name, url=f"dryad:{DOI}", **facts)
    return acquire_one(raw_file, destination, dryad=dryad.url)


def test_dryad_file_is_found_by_name_on_a_later_page(dryad, destination, caplog):
    with caplog.at_level(logging.INFO):
        from_dryad(dryad, "run-1.csv", destination, approx_bytes=16)
    assert destination.read_bytes() == CONTENT
    assert [path for path, _ in dryad.requests] == [
        "/api/v2/datasets/doi%3A10.5061%2Fdryad.toy",
        "/api/v2/versions/42/files",
        "/api/v2/versions/42/files?page=2",
        "/api/v2/files/3/download",
    ]
    assert "no checksum" not in caplog.text


def test_dryad_file_below_a_folder_of_the_registry_is_found_by_its_bare_name(dryad, destination):
    from_dryad(dryad, "rdms/a.h5", destination)
    assert destination.read_bytes() == HDF5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("changed.csv", f"has the sha256 {SHA256}, expected {'0' * 64}"),
        ("short.csv", "has 14 bytes, expected 15"),
        ("md5.csv", f"has the md5 {MD5}, expected {'0' * 32}"),
    ],
)
def test_dryad_size_and_checksum_are_held_to(dryad, destination, name, message):
    with pytest.raises(InputError, match=message):
        from_dryad(dryad, name, destination)
    assert_nothing_left(destination)


def test_checksum_of_the_registry_comes_before_that_of_dryad(dryad, destination):
    assert from_dryad(dryad, "changed.csv", destination, sha256=SHA256) == SHA256


def test_dryad_file_without_checksum_is_recorded(dryad, destination, caplog):
    with caplog.at_level(logging.INFO):
        from_dryad(dryad, "plain.csv", destination)
    assert "no checksum" in caplog.text


def test_dryad_file_that_does_not_exist_lists_those_that_do(dryad, destination):
    with pytest.raises(InputError, match=r"holds no file 'run-9\.csv', only README\.md, a\.h5"):
        from_dryad(dryad, "run-9.csv", destination)
    assert_nothing_left(destination)


def test_dryad_that_wants_a_token_says_so(dryad, destination):
    dryad.replies["/api/v2/files/3/download"] = (401, {}, b"unauthorized")
    raw_file = RawFile("run-1.csv", url=f"dryad:{DOI}")
    dataset = toy(raw_file, how_to_get="Set DRYAD_TOKEN.")
    with pytest.raises(InputError, match=r"answered 401 .*Set DRYAD_TOKEN"):
        fetch_file(dataset, raw_file, destination, dryad=dryad.url)
    assert_nothing_left(destination)


def test_dryad_with_another_form_of_answer_is_one_sentence(dryad, destination):
    dryad.replies["/api/v2/versions/42/files"] = (200, {}, b'{"files": []}')
    with pytest.raises(InputError, match=r"in a form that this workflow does not know.*_embedded"):
        from_dryad(dryad, "run-1.csv", destination)


@pytest.mark.parametrize(
    "facts", [{"digest": 12}, {"digest": ["0"]}, {"size": "14"}, {"_links": None}], ids=str
)
def test_dryad_facts_of_another_type_are_one_sentence(dryad, destination, facts):
    link = "/api/v2/versions/42/files?page=2"
    page = json.loads(dryad.replies[link][2])
    page["_embedded"]["stash:files"][0].update(facts)
    dryad.replies[link] = (200, {}, json.dumps(page).encode())
    with pytest.raises(InputError, match="in a form that this workflow does not know"):
        from_dryad(dryad, "run-1.csv", destination)


def test_dryad_page_that_leads_back_ends_the_list(dryad, destination):
    link = "/api/v2/versions/42/files?page=2"
    page = json.loads(dryad.replies[link][2])
    page["_links"]["next"]["href"] = link
    dryad.replies[link] = (200, {}, json.dumps(page).encode())
    with pytest.raises(InputError, match=r"holds no file 'run-9\.csv', only README\.md, a\.h5"):
        from_dryad(dryad, "run-9.csv", destination)
    assert [path for path, _ in dryad.requests].count(link) == 1


def test_dryad_token_goes_to_dryad_alone(dryad, destination, monkeypatch):
    """Dryad redirects to its storage, which must not see the token."""
    monkeypatch.setenv(acquire.DRYAD_TOKEN, "s3cret")
    with running_server() as storage:
        storage.replies["/blob"] = (200, {}, CONTENT)
        moved = (302, {"Location": f"{storage.url}/blob"}, b"")
        dryad.replies["/api/v2/files/3/download"] = moved
        from_dryad(dryad, "run-1.csv", destination)
        assert [headers["Authorization"] for _, headers in dryad.requests] == ["Bearer s3cret"] * 4
        [(_, headers)] = storage.requests
        assert "Authorization" not in headers


def test_dryad_token_stays_here_when_another_server_is_asked(server, destination, monkeypatch):
    monkeypatch.setenv(acquire.DRYAD_TOKEN, "s3cret")
    acquire_one(served(server), destination)
    assert "Authorization" not in server.requests[0][1]


# The script of the rule.


def write_registry(path, url):
    path.write_text(
        "toy:\n  title: Toy\n  licence: CC0-1.0\n  citation: Nobody 2024\n"
        "  homepage: https://example.org\n  access: open\n"
        f"  files: [{{path: run-1.csv, url: '{url}', bytes: {len(CONTENT)}}}]\n"
    )
    return path


def test_script_brings_a_file_of_the_registry_in(server, destination, tmp_path):
    registry = write_registry(tmp_path / "datasets.yaml", served(server).url)
    digests = acquire_registered_files(
        "toy",
        ["run-1.csv"],
        tmp_path / "resources",
        datasets_file=registry,
        mirror=None,
        may_download=True,
    )
    assert (digests, destination.read_bytes()) == ({"run-1.csv": SHA256}, CONTENT)


@pytest.mark.parametrize(
    ("dataset", "file", "message"),
    [
        ("tox", "run-1.csv", r"no dataset 'tox'.*did you mean 'toy'"),
        ("toy", "run-2.csv", r"no file 'run-2\.csv'.*did you mean 'run-1\.csv'"),
    ],
)
def test_script_names_unknown_datasets_and_files(tmp_path, dataset, file, message):
    registry = write_registry(tmp_path / "datasets.yaml", "http://127.0.0.1/run-1.csv")
    with pytest.raises(InputError, match=message):
        acquire_registered_files(
            dataset,
            ["run-1.csv", file],
            tmp_path / "resources",
            datasets_file=registry,
            mirror=None,
            may_download=True,
        )
    assert not (tmp_path / "resources").exists()


# Several files at once, and again.

BODIES = {f"image_{i}.txt": f"image {i}".encode() for i in range(5)}


@pytest.fixture
def family(server):
    """Serve five files, and return their entries in the registry."""
    return [
        served(server, body, name=name, sha256=hashlib.sha256(body).hexdigest())
        for name, body in BODIES.items()
    ]


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".sha256"}


def test_failed_attempt_leaves_none_in_place_and_is_gone_on_with(server, family, tmp_path):
    resources = tmp_path / "resources"
    server.replies["/image_3.txt"] = (500, {}, b"")
    with pytest.raises(InputError, match=r"/image_3\.txt answered 500"):
        acquire_files(toy(family[0]), family, resources, patience=HASTE)
    release_files(resources)
    assert not (resources / "toy").exists()

    served(server, BODIES["image_3.txt"], name="image_3.txt")
    server.requests.clear()
    acquire_files(toy(family[0]), family, resources)
    assert [path for path, _ in server.requests] == ["/image_3.txt", "/image_4.txt"]
    assert contents(resources / "toy") == BODIES


def test_files_that_are_here_are_not_fetched_again(server, family, tmp_path):
    """As in a run: second names first, then Snakemake removes what is in place."""
    resources = tmp_path / "resources"
    acquire_files(toy(family[0]), family, resources)
    (resources / "toy" / "image_1.txt").unlink()
    (resources / "toy" / "image_4.txt").write_bytes(b"image 5")  # damaged, of the same size
    keep_files(resources, [("toy", name) for name in BODIES])
    for file in (resources / "toy").iterdir():
        file.unlink()
    server.requests.clear()
    acquire_files(toy(family[0]), family, resources)
    assert [path for path, _ in server.requests] == ["/image_1.txt", "/image_4.txt"]
    assert contents(resources / "toy") == BODIES
    release_files(resources)
    assert [folder.name for folder in resources.iterdir()] == ["toy"]


def test_second_names_cost_nothing_and_end_with_the_run(family, tmp_path):
    resources = tmp_path / "resources"
    acquire_files(toy(family[0]), family, resources)
    in_place = resources / "toy" / "image_0.txt"
    keep_files(resources, [("toy", "image_0.txt"), ("toy", "never fetched")])
    assert in_place.samefile(kept_path(resources, "toy", "image_0.txt"))
    release_files(resources)
    assert contents(resources / "toy") == BODIES
    assert in_place.stat().st_nlink == 1


@pytest.mark.parametrize("call", ["mkdir", "unlink"])
def test_a_folder_that_cannot_be_written_stops_no_run(family, tmp_path, monkeypatch, call):
    """Raw files may lie on a disk that is shared, and read-only to most."""
    resources = tmp_path / "resources"
    acquire_files(toy(family[0]), family, resources)

    def read_only(path, **_):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, call, read_only)
    keep_files(resources, [("toy", "image_0.txt")])
    monkeypatch.undo()
    assert contents(resources / "toy") == BODIES


def test_file_that_the_mirror_must_hold_is_not_downloaded(server, family, mirror, tmp_path):
    with pytest.raises(InputError, match=r"image_0\.txt: found no such file in the mirror folder"):
        acquire_files(
            toy(family[0]), family, tmp_path / "resources", mirror=mirror, may_download=False
        )
    assert server.requests == []
