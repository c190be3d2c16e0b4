"""RDMs in files of numpy, and in tables."""

import contextlib
import csv
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.rdm_file import (
    IF_NO_RDMS,
    ArrayRDMFile,
    RDMFile,
    as_strings,
    damaged,
    one_of,
)


class NumpyRDMFile(ArrayRDMFile):
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
        except InputError:  # pickled metadata beside the RDMs is nobody's business here
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


class TableRDMFile(RDMFile):
    """One square RDM as .csv or .tsv; names in the first row, the first column, or both."""

    def _open(self) -> None:
        cells = self._cells()
        n_rows, n_columns = len(cells), len(cells[0])
        # A blank or a word in the corner says that both hold names, be they numbers.
        both = n_rows > 1 and n_columns > 1 and not is_number(cells[0][0])
        has_header = n_rows == n_columns + 1 or (both and n_columns != n_rows + 1)
        has_index = n_columns == n_rows + 1 or (both and n_rows != n_columns + 1)
        self._header = cells[0][has_index:] if has_header else None
        self._index = [row[0] for row in cells[has_header:]] if has_index else None
        if self._header and self._index and self._header != self._index:
            hint = "" if len(self._header) == len(self._index) else IF_NO_RDMS
            raise InputError(
                f"{self.path.name}: found other names in the first row than in the first column, "
                f"expected the same names in the same order; sort one of them{hint}"
            )
        self._matrix = np.array(
            [
                [self._number(cells, row, column) for column in range(has_index, n_columns)]
                for row in range(has_header, n_rows)
            ]
        )

    def _cells(self) -> list[list[str]]:
        self._separator = "\t" if self.path.suffix.lower() == ".tsv" else ","
        try:
            with open(self.path, newline="", encoding="utf-8-sig") as file:
                lines = [row for row in csv.reader(file, delimiter=self._separator) if any(row)]
        except (ValueError, OSError, csv.Error) as error:
            raise InputError(
                f"{self.path.name}: found no text table ({error}), expected a square matrix of "
                "numbers; export it again as UTF-8 text"
            ) from error
        cells = [[cell.strip() for cell in row] for row in lines]
        if len(cells) > 1 and len(cells[0]) == len(cells[1]) - 1:
            cells[0].insert(0, "")  # R's write.table leaves out the corner
        widths = sorted({len(row) for row in cells})
        if len(widths) != 1:
            raise InputError(
                f"{self.path.name}: found rows of {' and '.join(map(str, widths)) or 'no'} cells, "
                "expected a full square matrix; export it again"
            )
        return cells

    def _number(self, cells: list[list[str]], row: int, column: int) -> float:
        try:
            return float(cells[row][column])
        except ValueError:
            raise InputError(
                f"{self.path.name}: found the cell {cells[row][column][:40]!r} in row {row + 1}, "
                f"column {column + 1}, expected a number; give a full square matrix, with "
                f"{self._separator!r} between cells and names in the first row or column only"
            ) from None

    def _raw(self, index: tuple[int, ...]) -> np.ndarray:
        return self._matrix

    def stored_names(self, key: str | None) -> list[str]:
        """Return the names in the first row or column."""
        names = self._index or self._header
        return [str(name) for name in names] if names else super().stored_names(key)


def is_number(cell: object) -> bool:
    """Return whether a cell of a table reads as a number."""
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
