"""What tests share lies in tests/support, so that none of them depends on how another one is run."""

import ast

import pytest

from tests.support.paths import REPO

MODULES = sorted((REPO / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_a_test_module_imports_no_other_test_module_and_no_conftest(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert [name for name in imported if name.split(".")[0] == "tests" and name.split(".")[1] != "support"] == []
