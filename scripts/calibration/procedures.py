"""The tests and intervals that the calibration figure shows, and how their rates are judged."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import scipy.stats

FALSE_POSITIVES, COVERAGE = "false positives", "coverage"
EXACT, APPROXIMATE, NOT_USED, MISUSE = "exact", "approximate", "not used here", "misuse"
# Of the interval of each rate, and of the verdict on it: one rate in a hundred misses by chance.
BINOMIAL_LEVEL = 0.99


@dataclass(frozen=True)
class Procedure:
    """A test or an interval as the figure shows it.

    Attributes
    ----------
    label : str
    measure : `FALSE_POSITIVES` or `COVERAGE`
    kind : `EXACT`, `APPROXIMATE`, `NOT_USED` or `MISUSE`
        Not used: a test of other toolboxes, beside which the studies' own can be judged. Misuse: a
        test whose null is another one than the data's, shown as a warning.
    """

    label: str
    measure: str
    kind: str


PROCEDURES = {
    "naive": Procedure("correlation over pairs", FALSE_POSITIVES, MISUSE),
    "sign_flip_shared": Procedure("sign-flip, subjects share RDM", FALSE_POSITIVES, MISUSE),
    "mantel_over_groups": Procedure("Mantel, images not independent", FALSE_POSITIVES, MISUSE),
    "mantel": Procedure("Mantel", FALSE_POSITIVES, EXACT),
    "mantel_within": Procedure("Mantel within groups", FALSE_POSITIVES, EXACT),
    "mantel_groups": Procedure("Mantel, whole groups permuted", FALSE_POSITIVES, EXACT),
    "mantel_max": Procedure("Mantel, max-statistic, 12 cells", FALSE_POSITIVES, EXACT),
    "partial_mantel": Procedure("Mantel, control taken out", FALSE_POSITIVES, APPROXIMATE),
    "mantel_bh": Procedure("Mantel, BH, any of 12 cells", FALSE_POSITIVES, APPROXIMATE),
    "sign_flip": Procedure("sign-flip over subjects", FALSE_POSITIVES, APPROXIMATE),
    "sign_flip_max": Procedure("sign-flip, max-statistic, 4 layers", FALSE_POSITIVES, APPROXIMATE),
    "bootstrap_zero": Procedure("bootstrap t against zero", FALSE_POSITIVES, NOT_USED),
    "layer_difference": Procedure("bootstrap t, two layers", FALSE_POSITIVES, APPROXIMATE),
    "interaction": Procedure("layer x ROI, max |t|", FALSE_POSITIVES, APPROXIMATE),
    "bootstrap_t": Procedure("bootstrap t", COVERAGE, APPROXIMATE),
    "percentile": Procedure("bootstrap percentile", COVERAGE, APPROXIMATE),
    "jackknife_t": Procedure("jackknife t", COVERAGE, APPROXIMATE),
    "jackknife_spearman": Procedure("jackknife t, Spearman", COVERAGE, APPROXIMATE),
    "jackknife_tau": Procedure("jackknife t, tau-a", COVERAGE, APPROXIMATE),
    "jackknife_corr_cov": Procedure("jackknife t, corr_cov", COVERAGE, APPROXIMATE),
    "groups_drawn": Procedure("bootstrap t, groups drawn", COVERAGE, APPROXIMATE),
    "within_groups": Procedure("bootstrap t, drawn within groups", COVERAGE, APPROXIMATE),
    "below_ceiling": Procedure("distance from the ceiling", COVERAGE, APPROXIMATE),
    "variance_share": Procedure("variance share of one model", COVERAGE, APPROXIMATE),
    "two_factor": Procedure("two-factor t, mean of subjects", COVERAGE, APPROXIMATE),
    "centre_of_mass": Procedure("layer centre of mass", COVERAGE, APPROXIMATE),
}


def tabulate(
    hits: Mapping[str, int], n_simulations: int, nominal: Mapping[str, float]
) -> pd.DataFrame:
    """Return the rate of each procedure with its binomial interval.

    Parameters
    ----------
    hits : mapping, key of `PROCEDURES` -> number of rejections, or of intervals that held the truth
    n_simulations : number of data sets
    nominal : mapping, measure -> what its rate should be

    Returns
    -------
    DataFrame, a row per procedure
        procedure, label, measure, kind, nominal, hits, rate, lower, upper, and verdict: nominal
        lies within the interval, or the rate is above or below it.

    References
    ----------
    Clopper & Pearson 1934, Biometrika 26:404.
    """
    rows = []
    for name, k in hits.items():
        expected = nominal[PROCEDURES[name].measure]
        bounds = scipy.stats.binomtest(k, n_simulations).proportion_ci(BINOMIAL_LEVEL)
        rows.append(
            {
                "procedure": name,
                **vars(PROCEDURES[name]),
                "nominal": expected,
                "hits": k,
                "rate": k / n_simulations,
                "lower": bounds.low,
                "upper": bounds.high,
                "verdict": _verdict(expected, bounds.low, bounds.high),
            }
        )
    return pd.DataFrame(rows)


def _verdict(nominal: float, lower: float, upper: float) -> str:
    if lower > nominal:
        return "above"
    return "below" if upper < nominal else "within"
