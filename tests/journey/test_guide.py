"""The guide's own programs, as their readers would run them: Python, JavaScript and cURL."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.proxies import RunningProxy, clean_environment
from tests.sdk.installed import need, node_packages

GUIDE = Path(__file__).parent.parent / "guide"


def program(name: str, proxy: RunningProxy, folder: Path) -> Path:
    """The program with this proxy's address and key in it, and nothing else changed."""
    text = (GUIDE / name).read_text(encoding="utf-8")
    assert "http://localhost:8000" in text
    assert "your-api-key" in text
    written = folder / name
    written.write_text(
        text.replace("http://localhost:8000", proxy.root).replace("your-api-key", proxy.key),
        encoding="utf-8",
    )
    return written


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def only_conversation(proxy: RunningProxy) -> list[tuple[str, str]]:
    (conversation,) = proxy.get("/conversations/user/user123").json()["data"]
    return proxy.path_of(conversation["session_id"])


def test_the_python_program(proxy: RunningProxy, tmp_path: Path) -> None:
    """It reads its own call right after it, and finds its user's conversation."""
    output = run([sys.executable, str(program("chat.py", proxy, tmp_path))], tmp_path)

    question = "你好，请介绍一下Python编程语言"
    assert only_conversation(proxy) == [("user", question), ("assistant", f"echo: {question}")]
    history, listed = output.split("会话历史: ")[1].split("用户所有会话: ")
    assert f"echo: {question}" in history
    assert question in listed


def test_the_javascript_program(proxy: RunningProxy, tmp_path: Path) -> None:
    """The same from Node with axios."""
    packages = node_packages()
    written = program("chat.js", proxy, tmp_path)
    running = packages / f"chat-{proxy.port}.js"
    shutil.copyfile(written, running)

    output = run(["node", str(running)], packages)

    question = "请解释什么是机器学习"
    assert only_conversation(proxy) == [("user", question), ("assistant", f"echo: {question}")]
    assert "错误" not in output
    assert f"echo: {question}" in output.split("会话历史:")[1]


def test_the_curl_program(proxy: RunningProxy, tmp_path: Path) -> None:
    """The same from a shell; the message that it adds by hand follows the recorded ones."""
    need("bash", "curl", "uuidgen")

    output = run(["bash", str(program("chat.sh", proxy, tmp_path))], tmp_path)

    question = "什么是深度学习？"
    assert only_conversation(proxy) == [
        ("user", question),
        ("assistant", f"echo: {question}"),
        ("user", "请给我更多关于深度学习的信息"),
    ]
    assert output.count(f"echo: {question}") >= 2
