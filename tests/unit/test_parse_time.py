"""What is imported while the Snakefile is parsed stays light, so that dry runs stay quick."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {"h5py", "matplotlib", "nilearn", "numpy", "pandas", "rsatoolbox", "scipy", "torch"}


def test_rule_files_import_nothing_heavy():
    rule_files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").rglob("*.smk")]
    modules = {
        name
        for file in rule_files
        for name in re.findall(
            r"^from ((?:workflow\.lib|scripts)\.[\w.]+) import", file.read_text(), re.M
        )
    }
    assert any(module.count(".") > 2 for module in modules), "packages are not looked into"
    program = f"import sys, {', '.join(sorted(modules))}; print(*sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert not HEAVY & set(printed.split())
