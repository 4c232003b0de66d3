"""Whatever is sent, every reply is as the OpenAPI document says, and none is a failure (schemathesis)."""

import os
import subprocess
import sys
from pathlib import Path

from service_process import environment, running_service

EXAMPLES = os.environ.get("FREERECALL_FUZZ", "8")
CHECKS_LEFT_OUT = (
    "positive_data_acceptance",  # fields may each be right and make no sense together: that is a 422
)


def test_every_reply_is_as_documented(tmp_path: Path) -> None:
    with running_service(environment(tmp_path / "data", FREERECALL_RATE="0")) as service:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/api/v1/openapi.json"),
                *("--max-examples", EXAMPLES, "--seed", "1", "--suppress-health-check", "all"),
                *("--exclude-checks", ",".join(CHECKS_LEFT_OUT), "--no-color"),
                *("--exclude-path-regex", "/events$"),  # a stream, open for minutes
            ],
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-8_000:]
        assert "Failures" not in done.stdout
        code, log = service.stop()
    assert code == 0
    assert "Traceback" not in log
