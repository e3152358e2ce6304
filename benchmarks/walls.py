"""`python -m benchmarks.walls`: what the walls cost a call, by the kind of its key.

A call's head is admitted again and again by the program's own admission: a key of the settings, a
managed key, the same bound to a user, and with limits. The kinds take turns, and the quickest of
many rounds counts. The share is that of the CPU that a whole call takes on its way through
(`scripts/bench`, the same call not recorded, which `--call` gives in microseconds).
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from tests.api import a_managed_key

from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.model import ApiKey, Limits, Scope
from officeai_proxy.proxy.admission import Admission
from officeai_proxy.proxy.context import ContextAdder, SessionMemory
from officeai_proxy.settings import load_settings

CALLS = 500
BODY = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
PLENTY = 10**9


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench walls", description="Measure the walls.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--call", type=float, default=0, help="CPU of a whole call, microseconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="officeai-walls-") as name:
        ledger = Ledger(Path(name))
        admission = _admission(ledger)
        best = dict.fromkeys(KEYS, float("inf"))
        for _ in range(options.rounds):
            for key in KEYS:
                best[key] = min(best[key], _seconds(admission, key) / CALLS * 1e6)
        ledger.close()
    base = best["sk-test-configured"]
    for key, told in KEYS.items():
        share = f", {(best[key] - base) / options.call:+6.1%} of a call" if options.call else ""
        print(f"{told:34} {best[key]:6.1f} µs to admit, {best[key] - base:+5.1f} µs{share}")
    return 0


KEYS = {
    "sk-test-configured": "a key of the settings",
    "sk-test-managed": "a managed key",
    "sk-test-bound": "a managed key, bound to a user",
    "sk-test-rpm": "with a limit of requests",
    "sk-test-all": "with all three limits",
}


def _admission(ledger: Ledger) -> Admission:
    settings = load_settings(upstream_api_key="sk-upstream", _env_file=None)
    keyring = Keyring(["sk-test-configured"], lambda: datetime.now(UTC))
    managed = a_managed_key("sk-test-managed", workspace="w", scopes=set(Scope), user=None)
    every = Limits(rpm=PLENTY, tpm=PLENTY, concurrency=PLENTY)
    keyring.replace_managed(
        [
            managed,
            a_managed_key("sk-test-bound", workspace="w", scopes=set(Scope), user="ann"),
            _limited("sk-test-rpm", Limits(rpm=PLENTY)),
            _limited("sk-test-all", every),
        ]
    )
    # No call here asks for its history.
    context = ContextAdder(cast("SessionMemory", None), settings)
    return Admission(settings, keyring, ledger=ledger, context=context, is_keeping=lambda: True)


def _limited(key: str, limits: Limits) -> ApiKey:
    return replace(a_managed_key(key, workspace="w", scopes=set(Scope), user=None), limits=limits)


def _seconds(admission: Admission, key: str) -> float:
    """CPU seconds that CALLS calls take, each admitted and settled."""
    headers = [
        (b"authorization", b"Bearer " + key.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(BODY)),
        (b"x-session-id", b"s"),
    ]
    scope = {"method": "POST", "path": "/v1/chat/completions", "headers": headers}
    scope |= {"raw_path": b"/v1/chat/completions", "query_string": b"", "client": ("127.0.0.1", 1)}
    began = time.process_time()
    for _ in range(CALLS):
        call = admission.whole(admission.open(scope), BODY)
        if call.lease is not None:
            call.lease.settle(0)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
