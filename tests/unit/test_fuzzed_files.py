"""Damaged files of every kind: read, or refused in the one sentence that users are meant to see.

Bytes of valid files are changed, cut, repeated and put in by hypothesis, from fixed seeds. What is
not held here: that damage is noticed. Most formats have no checksum, and other numbers are numbers.
"""

import os
import resource
import shutil
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.foreign_files import (
    ALGONAUTS_FILES,
    KINDS,
    read_algonauts,
    write_algonauts,
)
from workflow.lib.errors import InputError

# Examples of each kind; FUZZ_EXAMPLES=10000 looks further than CI has time for.
QUICK, THOROUGH = 20, int(os.environ.get("FUZZ_EXAMPLES", "300"))
# Beyond what the tests have: what claims gigabytes must fail, as on a small machine.
MORE_BYTES = 2 * 2**30

PLACES = st.integers(0, 2**16 - 1)
# Numbers that headers should not hold.
ODD = [
    b"\0" * 8,
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\xff\x7f",
]
TEXTS = [b",", b"\t", b"\n", b'"', b"\0", b"nan", b"-inf", b"1e999", b"{}", b"[", b"O", b"\xff\xfe"]
EDITS = st.one_of(
    st.tuples(st.just("flip"), PLACES, st.integers(1, 255)),
    st.tuples(st.just("cut"), PLACES, st.just(0)),
    st.tuples(st.just("put"), PLACES, st.sampled_from(ODD + TEXTS) | st.binary(max_size=12)),
    st.tuples(st.just("over"), PLACES, st.sampled_from(ODD + TEXTS) | st.binary(max_size=12)),
    st.tuples(st.just("drop"), PLACES, st.integers(1, 64)),
    st.tuples(st.just("repeat"), PLACES, st.integers(1, 64)),
    st.tuples(st.just("end"), PLACES, st.binary(max_size=200)),
)
DAMAGE = st.lists(EDITS, min_size=1, max_size=4)


def damaged(content, edits):
    """Return other bytes; places are shares of the length, the first kilobyte more often."""
    for what, share, value in edits:
        length = len(content) if share % 2 else min(len(content), 1024)
        at = share * length >> 16
        content = {
            "flip": lambda c, a, v: c[:a] + bytes([c[a] ^ v]) + c[a + 1 :] if c else c,
            "cut": lambda c, a, v: c[:a],
            "put": lambda c, a, v: c[:a] + v + c[a:],
            "over": lambda c, a, v: c[:a] + v + c[a + len(v) :],
            "drop": lambda c, a, v: c[:a] + c[a + v :],
            "repeat": lambda c, a, v: c[: a + v] + c[a:],
            "end": lambda c, a, v: c[:a] + v,
        }[what](content, at, value)
    return content


@pytest.fixture(autouse=True)
def little_memory():
    """Let no example take gigabytes, as it would on a machine that has none."""
    with open("/proc/self/statm") as file:
        in_use = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MORE_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refusal(read, path):
    """Return the sentence by which a file is refused, None if it is read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except InputError as error:
        return str(error)
    return None


def fuzz(write, read, path, n_examples):
    write(path)
    content = path.read_bytes()
    # Otherwise nothing would be tested.
    read(path)

    @settings(
        max_examples=n_examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(DAMAGE)
    def run(edits):
        path.write_bytes(damaged(content, edits))
        told = refusal(read, path)
        assert told is None or ("\n" not in told and len(told) < 3_000), told

    run()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_is_read_or_refused(tmp_path, kind):
    one = KINDS[kind]
    fuzz(one.write, one.read, tmp_path / one.name, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_file_damaged_in_many_ways_is_read_or_refused(tmp_path, kind):
    one = KINDS[kind]
    fuzz(one.write, one.read, tmp_path / one.name, THOROUGH)


@pytest.mark.parametrize(
    "n_examples", [QUICK, pytest.param(THOROUGH, marks=pytest.mark.slow)], ids=["quick", "thorough"]
)
@pytest.mark.parametrize("file", ALGONAUTS_FILES)
def test_folder_of_algonauts_with_a_damaged_file(tmp_path, file, n_examples):
    write_algonauts(tmp_path / "whole")
    damaged_file = tmp_path / "folder/subj01" / ALGONAUTS_FILES[file]
    shutil.copytree(tmp_path / "whole", tmp_path / "folder")

    def restored(path):
        shutil.copy(tmp_path / "whole/subj01" / ALGONAUTS_FILES[file], path)

    fuzz(restored, lambda _: read_algonauts(tmp_path / "folder"), damaged_file, n_examples)
