"""Captions that figures write beside themselves, for the report. Standard library only."""

from pathlib import Path


class CaptionFile(str):
    """Path of a caption that a job writes and that the report reads.

    Snakemake renders captions from templates that know wildcards and params but no results. A
    figure's caption states numbers found by its job, so the job writes it, and the template
    (workflow/report/figure.rst) asks this parameter for the text.
    """

    __slots__ = ()

    def text(self) -> str:
        """Return the caption."""
        return Path(self).read_text(encoding="utf-8")
