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
    # Modules of sections are found while rules are parsed, not named in rule files.
    program = f"""
import sys, {", ".join(sorted(modules))}
from workflow.lib.config.sections import sections
sections()
print(*sys.modules)
"""
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    config = ROOT / "workflow/lib/config"
    schemas = (ROOT / "workflow/schemas/studies").glob("*.schema.yaml")
    names = {file.name.partition(".")[0] for file in schemas}
    of_sections = {f"workflow.lib.config.{n}" for n in names if (config / f"{n}.py").is_file()}
    assert of_sections <= set(printed.split())
    assert not HEAVY & set(printed.split())
