"""Set every claim of the original studies beside what this run finds, with a verdict by a rule.

snakemake --cores 2 results/demo/tables/scorecard.html
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from scripts.report.claims import (
    NOT_RUN,
    SIMULATED,
    asks,
    judged,
    kind_of_data,
    read_claims,
    rules_text,
)
from workflow.lib.jobs import script_job
from workflow.lib.tables import read_table, write_html, write_table

COLUMNS = [
    *("section", "study", "data", "claim", "statement", "published", "source"),
    *("ours", "low", "high", "against", "against_low", "against_high"),
    *("rule", "verdict", "note"),
]
# What is left of zero after sums and products.
ROUNDING = 1e-9
NOTE = "simulated data shows how a mistake works, not whether the claim holds"


def scorecard(
    claims: Mapping[str, pd.DataFrame],
    studies: Iterable[Mapping[str, str]],
    tables: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Return a row per claim and study that can answer it; a claim that none can has one, too.

    Parameters
    ----------
    claims : section -> `read_claims`
    studies : section, study, source and dataset of the studies of the run
    tables : <section>__<study>__<name> -> table
    """
    rows = []
    studies = list(studies)
    for section, of_section in claims.items():
        own = [study for study in studies if study["section"] == section]
        for claim in of_section.to_dict("records"):
            asked = [study for study in own if asks(claim, study["study"])]
            rows += [_row(section, claim, study, tables) for study in asked] or [
                _row(section, claim, None, tables)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    section: str,
    claim: Mapping[str, str],
    study: Mapping[str, str] | None,
    tables: Mapping[str, pd.DataFrame],
) -> dict:
    name = study["study"] if study else ""
    data = kind_of_data(study["source"], study["dataset"], claim["dataset"]) if study else ""
    found, verdict = judged(claim, tables.get(f"{section}__{name}__{claim['table']}"), data)
    return {
        **{"section": section, "study": name, "data": data},
        **{key: claim[key] for key in ("claim", "statement", "source", "rule")},
        "published": float(claim["published"]) if claim["published"] else np.nan,
        **{"ours": found.value, "low": found.low, "high": found.high},
        **{
            "against": found.against,
            "against_low": found.against_low,
            "against_high": found.against_high,
        },
        "verdict": verdict,
        "note": NOTE if data == SIMULATED and verdict != NOT_RUN else "",
    }


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as a page shows it: numbers with their intervals, in one column each."""
    return pd.DataFrame(
        {
            "section": table["section"],
            "claim": table["statement"],
            "published": [with_interval(value) for value in table["published"]],
            "source": table["source"],
            "study here": table["study"],
            "data": table["data"],
            "ours": list(map(with_interval, table["ours"], table["low"], table["high"])),
            "held to": list(
                map(with_interval, table["against"], table["against_low"], table["against_high"])
            ),
            "verdict": table["verdict"],
            "note": table["note"],
        }
    )


def with_interval(value: float, low: float = np.nan, high: float = np.nan) -> str:
    """Return a number, and its interval where there is one; nothing where there is no number."""
    if not np.isfinite(value):
        return ""
    if abs(value) < ROUNDING and not np.isfinite(low):
        return "0"
    interval = f" [{low:.3g}, {high:.3g}]" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{value:.4g}" if not interval else f"{value:.3g}{interval}"


if __name__ == "__main__":
    with script_job(snakemake):
        params, files = snakemake.params, dict(snakemake.input.items())
        claims = {
            section: read_claims(path)
            for section, path in zip(params.sections, files.pop("claims"), strict=True)
        }
        table = scorecard(
            claims, params.studies, {name: read_table(path) for name, path in files.items()}
        )
        write_table(table, snakemake.output.table)
        write_html(
            shown(table),
            snakemake.output.html,
            title="Scorecard: what becomes of the original claims",
            simulated=bool((table["data"] == SIMULATED).any()),
            note=f"Verdicts follow rules. {rules_text(table['verdict'])}.",
        )
