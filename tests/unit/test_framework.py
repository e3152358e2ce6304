"""What a start loads, and what waits until it is needed."""

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src"

LOADED = """
import sys
from officeai_proxy.cli import serve, serving
from officeai_proxy.app import create_app
from officeai_proxy.settings import load_settings

def loaded():
    names = ("fastapi", "alembic", "jinja2", "httpx", "cryptography", "pyarrow", "pydantic.v1")
    databases = ("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql")
    return [name for name in names + databases if sys.modules.get(name)]

create_app(load_settings(_env_file=None))
print(loaded())
"""


def _run(program: str, *, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_start_loads_only_what_it_needs(tmp_path: Path) -> None:
    """All routes are there; the page, migrations, encryption and the rest come when asked for."""
    done = _run(LOADED, folder=tmp_path)

    assert (done.stdout.strip(), done.stderr) == (
        "['fastapi', 'sqlalchemy.dialects.sqlite']",
        "",
    )


REFUSED = """
import sys
from officeai_proxy.cli import main

sys.argv = ["officeai-proxy", "serve", "--port", "70000"]
try:
    main()
except SystemExit as ended:
    print(ended.code, [name for name in ("fastapi", "sqlalchemy") if name in sys.modules])
"""


def test_wrong_settings_are_told_before_the_server_is_loaded(tmp_path: Path) -> None:
    """Whoever puts a setting right does not wait for what is not going to serve."""
    done = _run(REFUSED, folder=tmp_path)

    assert done.stdout.strip() == "2 []"
    assert "OFFICEAI_PORT" in done.stderr
