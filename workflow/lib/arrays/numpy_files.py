"""Arrays in files of numpy."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from workflow.lib.arrays.array_file import ArrayFile, damaged, one_of
from workflow.lib.arrays.text import as_strings
from workflow.lib.errors import InputError


class NumpyFile(ArrayFile):
    """.npy, or one array of an .npz."""

    def _open(self) -> None:
        with numpy_errors(self.path.name):
            loaded = np.load(self.path, allow_pickle=False, mmap_mode="r")
        if isinstance(loaded, np.ndarray):
            self._set_array(loaded)
            return
        self._archive = loaded
        try:
            key = one_of(self.key, loaded.files, self.path.name, "array", "key")
            self.what = f"{self.path.name}, {key}"
            self._set_array(self._member(key))
        except BaseException:
            loaded.close()
            raise

    def _member(self, key: str) -> np.ndarray:
        with numpy_errors(f"{self.path.name}, {key}"):
            return self._archive[key]

    def _holds_text(self, key: str) -> bool:
        try:
            return self._member(key).dtype.kind in "SU"
        except InputError:  # pickled metadata beside the array is nobody's business here
            return False

    def stored_names(self, key: str | None) -> list[str]:
        """Return names from another array of the .npz."""
        archive = getattr(self, "_archive", None)
        if archive is None:
            return super().stored_names(key)
        # Numbers can be names too, but only where the config says so.
        candidates = archive.files if key else list(filter(self._holds_text, archive.files))
        chosen = one_of(key, candidates, self.path.name, "array of names", "conditions.key")
        return as_strings(self._member(chosen))

    def close(self) -> None:
        """Close the archive."""
        if hasattr(self, "_archive"):
            self._archive.close()


@contextlib.contextmanager
def numpy_errors(what: str) -> Iterator[None]:
    """Turn what numpy raises on a damaged or pickled file into an InputError that names it."""
    try:
        yield
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "pickle" not in str(error) and "Python objects" not in str(error):
            raise damaged(what, error) from error
        raise InputError(
            f"{what}: found data that numpy cannot read without unpickling, which can run code, "
            "expected a numeric array written by np.save or np.savez; save it again as numbers "
            "or strings"
        ) from error
