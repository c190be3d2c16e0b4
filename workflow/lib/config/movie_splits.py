"""Which split of a movie the matched random one learns as much as, for checks and jobs alike."""


def matched_split(n_subjects: int) -> str:
    """Return the split whose number of volumes `random_matched` learns from: the cleanest one."""
    return "run_and_subject" if n_subjects > 1 else "run"
