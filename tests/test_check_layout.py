"""scripts/check_layout.py finds what no linter looks at, and nothing else."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def check_layout() -> ModuleType:
    """The script of that name, which is no part of any package."""
    path = Path(__file__).resolve().parents[1] / "scripts" / "check_layout.py"
    spec = importlib.util.spec_from_file_location("check_layout", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one good module, which is on the map."""
    package = tmp_path / "src" / "officeai_proxy"
    package.mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (package / "one.py").write_text('"""One thing."""\n', "utf-8")
    (tmp_path / "docs" / "architecture.md").write_text("- `one.py`: one thing.\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1\n", "no docstring"),
        ('"""Long."""\n' + "x = 1\n" * 400, "401 lines"),
        ('"""Big."""\n\n\ndef big():\n' + "    x = 1\n" * 50, "big has 51 lines"),
    ],
    ids=["no docstring", "long file", "long function"],
)
def test_a_module_out_of_shape_is_told(checkout: Path, text: str, fault: str) -> None:
    """Each rule of the house has a line that names the file and the rule."""
    (checkout / "src" / "officeai_proxy" / "one.py").write_text(text, "utf-8")

    [told] = check_layout().faults(checkout)

    assert "src/officeai_proxy/one.py" in told
    assert fault in told


def test_the_map_is_told_what_is_missing_and_what_is_gone(checkout: Path) -> None:
    """A new file without a line and a line without a file are both faults."""
    package = checkout / "src" / "officeai_proxy"
    (package / "one.py").rename(package / "two.py")
    (package / "static").mkdir()
    (package / "static" / "page.css").touch()
    (package / "py.typed").touch()

    assert check_layout().faults(checkout) == [
        "docs/architecture.md: py.typed has no line",
        "docs/architecture.md: static/ has no line",
        "docs/architecture.md: two.py has no line",
        "docs/architecture.md: one.py is listed and is not there",
    ]


def test_a_checkout_in_shape_has_no_fault(checkout: Path) -> None:
    """At the limits everything is still good."""
    text = '"""Big."""\n\n\ndef big():\n' + "    x = 1\n" * 49 + "\n" * 347
    (checkout / "src" / "officeai_proxy" / "one.py").write_text(text, "utf-8")

    assert check_layout().faults(checkout) == []
