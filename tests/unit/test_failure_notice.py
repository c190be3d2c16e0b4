"""What the failed jobs of a run said is the last thing on the screen."""

import re
from pathlib import Path

TARGETS = Path(__file__).parents[2] / "workflow/rules/targets.smk"


def failure_notice(run):
    """Return the notice of a run, by the function among the workflow's rules."""
    source = re.search(r"^def failure_notice.*?\n\n\n", TARGETS.read_text(), re.M | re.S)[0]
    names = {"config": {"run": run}, "STARTED": 0, "Path": Path, "re": re}
    exec(compile(source, TARGETS, "exec"), names)
    return names["failure_notice"]()


def test_errors_of_logs_are_said_whatever_bytes_stand_beside_them(tmp_path, monkeypatch):
    """A library that a job calls may write names of files as they are."""
    monkeypatch.chdir(tmp_path)
    logs = tmp_path / "results/tiny/logs"
    logs.mkdir(parents=True)
    (logs / "fit.log").write_bytes(
        b"opened caf\xe9.nii\n2026-03-01 10:00:00,5 ERROR caf\xe9.nii: found no header\n"
    )
    (logs / "draw.log").write_text("2026-03-01 10:00:00,5 INFO done\n")
    notice = failure_notice("tiny")
    assert notice == "\nWhat stopped the run:\n  caf\ufffd.nii: found no header"
