"""A start with wrong settings: one line that names the setting, exit code 2, and no secret."""

import os
import re
import socket
from pathlib import Path

import pytest
from tests import forkserver
from tests.conftest import StartProxy
from tests.databases import free_port
from tests.proxies import KEY, clean_environment
from tests.upstream import ScriptedUpstream

SECRET = "sk-very-secret"
PASSWORD = "hunter2"

sqlite_only = pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)


def refused(folder: Path, *arguments: str, **environment: str) -> str:
    """Start the program in vain and give its one line on standard error."""
    settings = {
        "OFFICEAI_API_KEYS": KEY,
        "OFFICEAI_UPSTREAM_API_KEY": SECRET,
        "OFFICEAI_DATA_DIR": str(folder / "data"),
        "OFFICEAI_PORT": "0",
        **environment,
    }
    ended = forkserver.run(
        ("serve", *arguments), folder=folder, environment=clean_environment(**settings)
    )
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    for secret in (SECRET, KEY, PASSWORD):
        assert secret not in ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


WRONG = {
    "PORT": ["x", "-1", "65536", "1e99", "٣"],
    "WORKERS": ["0", "-1", "many"],
    "GRACE_SECONDS": ["-1", "soon", "nan", "inf"],
    "MAX_BODY_MB": ["0", "-1", "1e9"],
    "CONNECT_TIMEOUT": ["0", "nan"],
    "FIRST_BYTE_TIMEOUT": ["-5"],
    "IDLE_TIMEOUT": ["0", "inf"],
    "MAX_RECORDED_MB": ["0"],
    "RECORD": ["some", "HEADER "],
    "DURABILITY": ["forever"],
    "ON_FULL": ["explode"],
    "ON_DISCONNECT": ["maybe"],
    "LOG_LEVEL": ["shout"],
    "UPSTREAM_TRUST_ENV": ["perhaps"],
    "HOST": [" ", "127.0.0.1\n", "a\x1b[31mb"],
    "MODEL_ALIASES": ["officeai", "[1]", '{"a": 1}', '{"a":', '{"a": ""}', '{" ": "b"}'],
    "UPSTREAM_BASE_URL": [
        "api.openai.com",
        "ftp://x/v1",
        "http://",
        "http://x:99999/v1",
        f"http://user:{PASSWORD}@x/v1",
        f"https://x/v1?key={PASSWORD}",
        "https://x/v1#x",
        "http://[::1/v1",
        "http://a b/v1",
        "http://a\n/v1",
    ],
    "DATABASE_URL": [f"mysql://ann:{PASSWORD}@x/y", f"{PASSWORD}", "sqlite:officeai.db"],
    "API_KEYS": [f"{PASSWORD},ключ", f"{PASSWORD}\x01", f"{PASSWORD} x", f"a,{PASSWORD} x,b"],
    "TRUSTED_PROXIES": ["zz", "10.0.0.1/8", "*,10.0.0.1", "10.0.0.1 10.0.0.2", "proxy.local"],
    "UPSTREAM_API_KEY": [f"{PASSWORD}\nx", f"{PASSWORD}é"],
}
ROUNDS = range(max(len(values) for values in WRONG.values()))


@pytest.mark.parametrize("number", ROUNDS)
def test_wrong_values_are_one_line_that_names_their_settings(tmp_path: Path, number: int) -> None:
    """Whatever is wrong, all of it is said in one line with the names to look for."""
    given = {name: values[number] for name, values in WRONG.items() if number < len(values)}
    line = refused(tmp_path, **{f"OFFICEAI_{name}": value for name, value in given.items()})

    assert line.startswith("officeai-proxy: ")
    assert set(re.findall(r"OFFICEAI_\w+", line)) == {f"OFFICEAI_{name}" for name in given}
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "192.0.2.1"])
def test_an_address_that_is_not_here_is_said(tmp_path: Path, host: str) -> None:
    """What cannot be listened on is a wrong setting."""
    line = refused(tmp_path, OFFICEAI_HOST=host)

    assert "OFFICEAI_HOST" in line
    assert host in line
    assert "Another program" not in line
    assert "must be an address of this machine" in line


def test_a_name_of_several_lines_is_told_in_one(tmp_path: Path) -> None:
    """Nothing that a terminal obeys gets there by a message."""
    line = refused(tmp_path, OFFICEAI_PRICES="no\nsuch\x1b[2Jfile")

    assert "OFFICEAI_PRICES: no\\nsuch\\x1b[2Jfile" in line


def test_the_other_name_of_a_setting_is_named_too(tmp_path: Path) -> None:
    """Who set OPENAI_BASE_URL wrongly need not know that it has another name here."""
    assert "OPENAI_BASE_URL" in refused(tmp_path, OPENAI_BASE_URL="z")


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """The message says which address it is, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refused(tmp_path, OFFICEAI_PORT=port)

    assert f"127.0.0.1:{port}" in line
    assert "OFFICEAI_PORT" in line
    assert "choose another port" in line


@pytest.mark.parametrize(("data", "blocked"), [("x", "x"), ("x/y", "x"), ("x", "x/metrics")])
def test_a_data_directory_that_cannot_be_written_is_said(
    tmp_path: Path, data: str, blocked: str
) -> None:
    """The journal, and what workers open beside it, are tried at the start, not at a call."""
    file = tmp_path / blocked
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    line = refused(tmp_path, OFFICEAI_DATA_DIR=str(tmp_path / data))

    assert "OFFICEAI_DATA_DIR" in line
    assert line.endswith("; move away what stands in its place")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_data_directory_is_said(tmp_path: Path) -> None:
    """Missing permission is a wrong setting too."""
    (tmp_path / "closed").mkdir(mode=0o500)

    assert "OFFICEAI_DATA_DIR" in refused(tmp_path, OFFICEAI_DATA_DIR=str(tmp_path / "closed"))


@pytest.mark.parametrize(
    "base_url",
    ["http://127.0.0.1:{port}/v1", "http://localhost:{port}"],
)
def test_the_proxy_is_not_its_own_upstream(tmp_path: Path, base_url: str) -> None:
    """A loop of the base URL is found at the start, also through OPENAI_BASE_URL."""
    port = free_port()
    line = refused(tmp_path, OFFICEAI_PORT=str(port), OPENAI_BASE_URL=base_url.format(port=port))

    assert "own address; name the model's server in OFFICEAI_UPSTREAM_BASE_URL" in line


def test_the_default_port_of_a_url_counts_in_a_loop(tmp_path: Path) -> None:
    """`http://127.0.0.1/v1` is port 80."""
    assert "own address" in refused(
        tmp_path, OFFICEAI_PORT="80", OFFICEAI_UPSTREAM_BASE_URL="http://127.0.0.1/v1"
    )


@pytest.mark.parametrize("value", ["ftp://x:1", "http://", f"http://u:{PASSWORD}@x:port"])
def test_a_wrong_forward_proxy_is_said(tmp_path: Path, value: str) -> None:
    """What the environment says about proxies is checked at the start too."""
    line = refused(tmp_path, HTTPS_PROXY=value, OFFICEAI_UPSTREAM_BASE_URL="https://llm.example/v1")

    assert "HTTPS_PROXY" in line


@pytest.mark.parametrize("text", ["port = ", 'port = "x"', "port = 8000\nport = 1"])
def test_a_wrong_file_is_said(tmp_path: Path, text: str) -> None:
    """A mistake in officeai.toml is one line as well."""
    (tmp_path / "officeai.toml").write_text(text)

    line = refused(tmp_path, OFFICEAI_PORT="")
    assert "officeai.toml" in line or "OFFICEAI_PORT" in line


def test_yes_and_no_are_no_numbers(tmp_path: Path) -> None:
    """`true` does not keep conversations for one day, nor is it the first port."""
    (tmp_path / "officeai.toml").write_text("retention_days = true\nworkers = false")

    line = refused(tmp_path)
    assert "OFFICEAI_RETENTION_DAYS: must be a number" in line
    assert "OFFICEAI_WORKERS: must be a number" in line


WRONG_NAMES = {
    "bogus = 1": "no setting `bogus`",
    "retention_day = 30": "did you mean `retention_days`?",
    "OFFICEAI_PORT = 1": "`OFFICEAI_PORT` is called `port`",
    "[officeai]\nport = 1": "no section [officeai]",
    "[model_alias]\na = 'b'": "did you mean [model_aliases]?",
    "[model_aliases]\na = 'b'\nhost = '0.0.0.0'": "`host` stands in the section [model_aliases]",
    "'a\\nb' = 1": "no setting",
    '"a\\nb" = 1': "no setting",
}


@pytest.mark.parametrize(("text", "complaint"), WRONG_NAMES.items(), ids=WRONG_NAMES)
def test_a_wrong_name_in_the_file_is_said(tmp_path: Path, text: str, complaint: str) -> None:
    """A name that no setting has, or that stands in the wrong place, is no setting in silence."""
    (tmp_path / "officeai.toml").write_text(text)

    line = refused(tmp_path)
    assert line.startswith("officeai-proxy: officeai.toml: ")
    assert complaint in line


@pytest.mark.parametrize("name", [".env", "officeai.toml"])
def test_a_file_in_another_encoding_is_named(tmp_path: Path, name: str) -> None:
    """A file that is not UTF-8 is one line with its name."""
    (tmp_path / name).write_bytes("# Größe\n".encode("latin-1"))

    line = refused(tmp_path)
    assert line.startswith(f"officeai-proxy: {name}: ")
    assert "UTF-8" in line


@pytest.mark.parametrize(
    "lines",
    [
        "OFFICEAI_ENCRYPTION_KEYS: k1:secret",
        'OFFICEAI_ENCRYPTION_KEYS="k1:secret',
        'OTHER="open\nexport OFFICEAI_ENCRYPTION_KEYS=k1:secret\nMORE=" "',
    ],
)
def test_no_setting_in_dotenv_is_passed_over(tmp_path: Path, lines: str) -> None:
    """A line that cannot be read is named: what is to be encrypted would be stored as it is."""
    (tmp_path / ".env").write_text(f"not a line\nOFFICEAI_PRICES=\n{lines}\n")

    line = refused(tmp_path)
    assert line.startswith("officeai-proxy: .env: OFFICEAI_ENCRYPTION_KEYS cannot be read there")
    assert "secret" not in line


def test_an_empty_address_is_not_all_of_them(tmp_path: Path) -> None:
    """What is empty on the command line opens the program to nobody."""
    assert "OFFICEAI_HOST" in refused(tmp_path, "--host", "")


def test_a_byte_order_mark_is_named(tmp_path: Path) -> None:
    """The parser's own words, an invalid statement in the first column, show what nobody sees."""
    (tmp_path / "officeai.toml").write_text("port = 0", encoding="utf-8-sig")

    assert "byte order mark" in refused(tmp_path)


@sqlite_only
def test_a_strange_variable_is_told_and_stops_nothing(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    """It may be another program's: a line on standard error names it, with the nearest setting."""
    folder = tmp_path / "proxy0"
    folder.mkdir()
    (folder / ".env").write_text(
        "OFFICEAI_BOGUS=secret\nOTHER=1\nOFFICEAI_PRICES=\nOFFICEAI_PORT-A=1\n"
    )
    proxy = start_proxy(RETENTION_DAY="secret", TRUSTED_PROXIES=" 127.0.0.1 , 10.0.0.0/8,::1,")

    told = [line for line in proxy.stderr().splitlines() if "no setting" in line]

    assert told == [
        "officeai-proxy: OFFICEAI_RETENTION_DAY in the environment is no setting and has no effect;"
        " did you mean OFFICEAI_RETENTION_DAYS?",
        "officeai-proxy: OFFICEAI_BOGUS in .env is no setting and has no effect",
        "officeai-proxy: OFFICEAI_PORT-A in .env is no setting and has no effect;"
        " did you mean OFFICEAI_PORT?",
    ]
    assert "secret" not in proxy.stderr()


def test_a_wrong_option_is_said(tmp_path: Path) -> None:
    """A value on the command line is checked as the settings are."""
    assert "OFFICEAI_WORKERS" in refused(tmp_path, "--workers", "0")


@sqlite_only
def test_the_environment_wins_over_dotenv_and_dotenv_over_toml(
    start_proxy: StartProxy, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """All three are read, and the nearer one counts; an empty value is none."""
    folder = tmp_path / "proxy0"
    folder.mkdir()
    (folder / ".env").write_text(
        'OFFICEAI_RECORD=all\nOFFICEAI_MODEL_ALIASES={"a": "from-dotenv"}\n'
        "OFFICEAI_UPSTREAM_API_KEY=from-dotenv\n"
    )
    (folder / "officeai.toml").write_text(
        'record = "header"\ndurability = "disk"\nmax_body_mb = 0.001\n'
        '[model_aliases]\na = "from-toml"\n'
    )
    proxy = start_proxy(UPSTREAM_API_KEY="from-environment", MODEL_ALIASES="")
    with proxy.client() as client:
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": "a", "messages": messages}
        reply = client.post("/v1/chat/completions", json=body)
        too_large = client.post("/v1/chat/completions", json={**body, "x": "x" * 2000})

    assert "x-session-id" in reply.headers
    assert upstream.requests[0].header("authorization") == "Bearer from-environment"
    assert upstream.requests[0].json()["model"] == "from-dotenv"
    assert too_large.status_code == 413
