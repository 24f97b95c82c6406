"""What docs/security.md says is shown by a test is shown by one that there is."""

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DOCUMENT = (PROJECT / "docs" / "security.md").read_text()


def test_every_test_that_is_named_is_there():
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", DOCUMENT)
    assert named
    missing = [(path, name) for path, name in named if name not in functions(PROJECT / path)]
    assert missing == []


def test_every_row_of_the_top_ten_names_a_test():
    rows = re.findall(r"^\| (API\d+) .*$", DOCUMENT, re.MULTILINE)
    assert rows == [f"API{number}" for number in range(1, 11)]
    unproved = [line for line in DOCUMENT.splitlines() if line.startswith("| API") and "::test_" not in line]
    assert unproved == []


def functions(path: Path) -> set[str]:
    """Names of the functions of a file; none if it is not there."""
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
