"""The list of modules behind each script, held against what Python really imports."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.lib import digest
from workflow.lib.digest import code_digest, imported_modules

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(str(file.relative_to(ROOT)) for file in (ROOT / "scripts").rglob("*.py"))
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in (ROOT / "workflow" / "lib").rglob("*.py")
    if file.stem != "__init__"
)

# Digests do not read them.
PACKAGES = sorted((ROOT / "workflow" / "lib").rglob("__init__.py"))

# Third-party modules stay loaded from script to script, or each would take seconds; the
# workflow's own are forgotten before each, so that it finds them as in an interpreter of its own.
IMPORT_EACH = """
import json, runpy, sys

def own():
    return sorted(name for name in sys.modules if name.split(".")[0] in ("workflow", "scripts"))

imported = {}
for script in sys.argv[1:]:
    for name in own():
        del sys.modules[name]
    try:
        runpy.run_path(script, run_name="imported")
    except Exception as error:
        imported[script] = repr(error)
    else:
        imported[script] = [
            name
            for name in own()
            if not hasattr(sys.modules[name], "__path__")
        ]
print(json.dumps(imported))
"""


# A package that this environment lacks; a module of our own that is missing is a failure.
THIRD_PARTY = re.compile(r"ModuleNotFoundError\(\"No module named '(?!workflow|scripts)(\w+)")


def really_imported(scripts):
    """Return script -> our own modules that are loaded once it is imported.

    For a script that cannot be imported, the error as text.
    """
    process = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, *scripts],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def imported():
    return really_imported(SCRIPTS)


@pytest.fixture
def importable(imported):
    return {script: modules for script, modules in imported.items() if isinstance(modules, list)}


@pytest.fixture(scope="module")
def copied_tree(tmp_path_factory):
    """Return a copy of the repository's code; tests leave it as they found it."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("workflow", "scripts"):
        shutil.copytree(ROOT / folder, tree / folder)
    return tree


@pytest.fixture
def in_copied_tree(copied_tree, monkeypatch):
    """Let `code_digest` look at the copy."""
    monkeypatch.setattr(digest, "ROOT", copied_tree)
    return copied_tree


@pytest.fixture(scope="module")
def unedited(copied_tree, imported):
    """Return script -> digest in the copy, of scripts that can be imported."""
    importable = [script for script, modules in imported.items() if isinstance(modules, list)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest, "ROOT", copied_tree)
        return digests(copied_tree, importable)


def digests(tree, scripts):
    return {script: code_digest(tree / script) for script in scripts}


@pytest.mark.parametrize("script", SCRIPTS)
def test_modules_are_those_that_python_imports(script, imported):
    missing = THIRD_PARTY.match(str(imported[script]))
    if missing:
        pytest.skip(f"{missing[1]} is not installed here")
    assert imported_modules(ROOT / script) == imported[script]


def test_one_interpreter_for_all_scripts_finds_what_a_fresh_one_does(importable):
    script = max(importable, key=lambda name: len(importable[name]))
    assert really_imported([script]) == {script: importable[script]}


def some(scripts, n=5):
    """Return at most so many, from all over the list."""
    return scripts[:: max(1, -(-len(scripts) // n))]


@pytest.mark.parametrize("module", MODULES)
def test_editing_a_module_changes_the_scripts_that_import_it(
    module, in_copied_tree, importable, unedited
):
    """Of those that import it, and of others, some: all their modules are held above."""
    using = [script for script in importable if module in importable[script]]
    others = [script for script in importable if module not in importable[script]]
    file = in_copied_tree.joinpath(*module.split(".")).with_suffix(".py")
    code = file.read_bytes()
    file.write_bytes(code + b"EDITED = True\n")
    after = digests(in_copied_tree, some(using) + some(others))
    file.write_bytes(code)
    assert {script for script in after if after[script] != unedited[script]} == set(some(using))


def test_digest_depends_on_the_code_alone(importable, unedited):
    assert digests(ROOT, importable) == unedited


@pytest.mark.parametrize(
    ("edited", "changes"),
    [
        ("import json\nRATE = 0.2\n", True),
        ('"""Trains."""\nimport json\n\nRATE = 0.1  # As published.\n', False),
    ],
    ids=["code", "comments"],
)
def test_digest_of_a_script_itself_depends_on_its_code(tmp_path, edited, changes):
    script = tmp_path / "script.py"
    script.write_text("import json\nRATE = 0.1\n")
    library, both = code_digest(script), code_digest(script, itself=True)
    script.write_text(edited)
    assert code_digest(script) == library
    assert (code_digest(script, itself=True) != both) == changes


def test_checkpoints_of_every_training_are_those_of_its_code():
    """The rule gives the digest with the script's own code, and the script hands it on."""
    rules = "\n".join(file.read_text() for file in (ROOT / "workflow" / "rules").rglob("*.smk"))
    trained = {
        script.relative_to(ROOT / "scripts").as_posix(): script.read_text()
        for script in (ROOT / "scripts").rglob("train_*.py")
    }
    assert len(trained) >= 5
    for script, text in trained.items():
        assert f'code=training_digest("{script}")' in rules, script
        # Decoders hand it on where their job is opened.
        assert re.search(r"code=(snakemake\.)?params\.code|open_job\(snakemake\)", text), script


# A library in which one and two import each other, and three imports nothing.
SMALL_LIBRARY = {
    "one": "from workflow.lib.two import x",
    "two": "def f():\n    from workflow.lib import one",
    "three": "import json",
}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from workflow.lib.three import x", ["three"]),
        ("from workflow.lib.three import x as y", ["three"]),
        ("from workflow.lib import three", ["three"]),
        ("from workflow.lib import three, one", ["one", "three", "two"]),
        ("import workflow.lib.three", ["three"]),
        ("import workflow.lib.three as y", ["three"]),
        ("def f():\n    from workflow.lib.three import x", ["three"]),
        ("from workflow.lib.one import x", ["one", "two"]),
        ("from workflow.lib.two import x", ["one", "two"]),
        ("import json\nfrom pathlib import Path", []),
        ("# from workflow.lib.three import x", []),
        ("from scripts.study.shared import x", ["scripts.study.shared", "three"]),
        ("from scripts.study import shared", ["scripts.study.shared", "three"]),
        ("from scripts_of_others.study import shared", []),
    ],
)
def test_every_way_to_import(tmp_path, monkeypatch, line, expected):
    (tmp_path / "workflow" / "lib").mkdir(parents=True)
    for name, content in SMALL_LIBRARY.items():
        (tmp_path / "workflow" / "lib" / f"{name}.py").write_text(content)
    (tmp_path / "scripts" / "study").mkdir(parents=True)
    (tmp_path / "scripts" / "study" / "shared.py").write_text("import workflow.lib.three")
    (tmp_path / "script.py").write_text(f'"""Umlaut: ä."""\n{line}\n', encoding="utf-8")
    monkeypatch.setattr(digest, "ROOT", tmp_path)
    assert imported_modules(tmp_path / "script.py") == [
        name if "." in name else f"workflow.lib.{name}" for name in expected
    ]


@pytest.mark.parametrize("file", PACKAGES, ids=lambda file: file.parent.name)
def test_packages_hold_a_docstring_only(file):
    """Digests follow imports of modules: code of a package would rerun nothing when it changes."""
    (statement,) = ast.parse(file.read_text()).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value.value, str)
