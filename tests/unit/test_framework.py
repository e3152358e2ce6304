"""What a program that only serves calls never loads."""

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src"

LOADED = """
import sys
from officeai_proxy.cli import serve
from officeai_proxy.app import create_app
from officeai_proxy.settings import load_settings

def loaded():
    names = ("fastapi", "alembic", "jinja2", "httpx", "cryptography", "pyarrow")
    return [name for name in names if name in sys.modules]

app = create_app(load_settings(_env_file=None))
before = loaded()
app.routes
print(before, loaded())
"""


def test_a_start_loads_no_framework(tmp_path: Path) -> None:
    """FastAPI comes with the first route that is asked for; the page, Alembic and others later."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout.strip(), done.stderr) == ("[] ['fastapi']", "")
