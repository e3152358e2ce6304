"""How long the fuzzers run: a moment in every run of the tests, as long as asked for otherwise.

`FUZZ_EXAMPLES=100000 pytest tests/fuzz -n0` looks for new faults; what it finds goes into
`corpus/`, where it is tried again in every run.
"""

import os

from hypothesis import HealthCheck, settings

QUICK_EXAMPLES = 60

_asked = os.environ.get("FUZZ_EXAMPLES", "")

settings.register_profile(
    "fuzz",
    max_examples=int(_asked or QUICK_EXAMPLES),
    # A quick run is the same on every machine; a long one is to find what no run has found yet.
    derandomize=not _asked,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
