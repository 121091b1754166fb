"""The habits that a reader relies on, held by tests: small files, true documents, a lock file without hosts."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("features", "models", "serving", "training", "feature_repo", "benchmarks")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_stays_readable_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES


def test_functions_stay_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (length := code_lines(node)) > MAX_FUNCTION_LINES
    ]
    assert long == []


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = node.body[0] if ast.get_docstring(node) else None
    described = 0 if docstring is None else (docstring.end_lineno or 0) - docstring.lineno + 1
    return (node.end_lineno or 0) - node.lineno + 1 - described


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_links_exists(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text())
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


def test_no_module_is_called_utils() -> None:
    vague = {"utils", "helpers", "common", "base", "misc"}
    assert [path for path in sources() if path.stem in vague] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-spark.lock"])
def test_a_lock_names_no_host(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    assert [line for line in lines if "://" in line or line.lstrip().startswith("--index") or "--find-links" in line] == []


@pytest.mark.parametrize(("lock", "least"), [("requirements.lock", 100), ("requirements-spark.lock", 2)])
def test_every_locked_package_has_a_hash(lock: str, least: int) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text)
    pinned = [entry for entry in entries if re.match(r"[a-zA-Z0-9_.-]+(\[.*\])?==", entry)]
    assert len(pinned) >= least
    assert [entry.splitlines()[0] for entry in pinned if "--hash=sha256:" not in entry] == []


def test_generated_files_are_not_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    generated = re.compile(r"(^|/)(\.stillhere|mlruns|mlflow\.db|benchmarks/out|__pycache__)(/|$)|\.parquet$|\.csv\.gz$")
    assert [path for path in tracked if generated.search(path)] == []
