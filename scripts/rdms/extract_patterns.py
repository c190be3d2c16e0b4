"""Read one subject's response patterns in every ROI, and prepare them."""

from collections.abc import Mapping
from pathlib import Path

from workflow.lib.jobs import script_job
from workflow.lib.pattern_preparation import prepare_patterns
from workflow.lib.pattern_store import write_patterns
from workflow.lib.patterns import Patterns, dropped_conditions, read_patterns


def extract_patterns(
    source: Mapping,
    folder: Path,
    subject: str,
    *,
    match: str,
    detrend: bool,
    standardise: str,
    remove_mean_pattern: bool,
) -> dict[str, Patterns]:
    """Return ROI -> prepared patterns, over all conditions that the config does not drop.

    Parameters
    ----------
    source : the study's `brain` block
    folder : folder of the raw files
    subject : label of the subject
    match : how names are matched
    detrend, standardise, remove_mean_pattern
        See `workflow.lib.pattern_preparation.prepare_patterns`.
    """
    return {
        roi: prepare_patterns(
            patterns,
            detrend=detrend,
            standardise=standardise,
            remove_mean_pattern=remove_mean_pattern,
            drop=dropped_conditions(source),
            what=f"{subject}, {roi}",
        )
        for roi, patterns in read_patterns(source, folder, subject, match).items()
    }


if __name__ == "__main__":
    with script_job(snakemake) as log:
        params, subject = snakemake.params, snakemake.wildcards.subject
        patterns = extract_patterns(
            params.source,
            Path(params.folder),
            subject,
            match=params.match,
            detrend=params.detrend,
            standardise=params.standardise,
            remove_mean_pattern=params.remove_mean_pattern,
        )
        for roi, own in patterns.items():
            log.info("%s: %d observations x %d channels", roi, *own.measurements.shape)
        write_patterns(
            snakemake.output[0],
            patterns,
            descriptors={"study": snakemake.wildcards.study, "subject": subject},
        )
