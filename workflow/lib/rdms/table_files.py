"""RDMs in tables."""

import csv

import numpy as np

from workflow.lib.arrays.text import is_number
from workflow.lib.errors import InputError
from workflow.lib.rdms.rdm_file import IF_NO_RDMS, RDMFile


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
            self._refuse_row_numbers()
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

    def _refuse_row_numbers(self) -> None:
        """Say of a first column that numbers the rows, from 0 or 1, who wrote it."""
        for start, how in ((0, "DataFrame.to_csv(index=False)"), (1, "row.names = FALSE in R")):
            if self._index == [str(row) for row in range(start, start + len(self._index))]:
                raise InputError(
                    f"{self.path.name}: found the numbers of the rows in the first column, "
                    "expected the names of the first row, or no such column; write the table "
                    f"without them ({how})"
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
