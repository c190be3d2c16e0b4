"""Read one subject's response patterns in every ROI, and prepare them."""

from pathlib import Path

from workflow.lib.jobs import script_job
from workflow.lib.patterns.rdms import extract_patterns
from workflow.lib.patterns.store import write_patterns

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
