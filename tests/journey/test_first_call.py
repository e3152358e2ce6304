"""The shortest journey there is: one call, and the conversation is there."""

from tests.proxies import RunningProxy


def test_a_call_can_be_read_right_after_it(proxy: RunningProxy) -> None:
    """What was said and answered is in the conversation as soon as the reply has ended."""
    with proxy.client("s1", "ann") as client:
        answer = client.post(
            "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": "hello"}]},
        )

    assert answer.status_code == 200
    assert proxy.path_of("s1") == [("user", "hello"), ("assistant", "echo: hello")]
    assert proxy.stop() == 0
