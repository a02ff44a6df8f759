"""With DAM_CONNECTOR_LOG_FORMAT=json, each line of the log is an object, whoever writes it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

# All that a process may write: our events, libraries, warnings, and errors that nobody catches.
PROGRAM = """
import logging, threading, warnings, structlog
from dam_connector.logs import configure_logging
from rq.logutils import setup_loghandlers
configure_logging("json")
structlog.get_logger().info("ours", sku="CH1")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("ours_failed")
    logging.getLogger("some.library").exception("library failed\\nin two lines")
setup_loghandlers("ERROR", name="rq.worker")
logging.getLogger("rq.worker").error("Worker %s: quitting", "w1")
warnings.warn("old way")
thread = threading.Thread(target=lambda: {}["absent"])
thread.start(); thread.join()
raise ValueError("nobody catches this")
"""


def run(program: list[str], **environ: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, *program], cwd=ROOT, capture_output=True, text=True, timeout=120, env=environ
    )
    assert done.stdout == "" and done.returncode != 0
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_each_line_of_a_process_is_an_object() -> None:
    lines = run(["-c", PROGRAM])
    assert [line["event"] for line in lines[:2]] == ["ours", "ours_failed"]
    assert [line.get("logger") for line in lines[2:]] == [
        "some.library",
        "rq.worker",
        "py.warnings",
        "uncaught",
        "uncaught",
    ]
    assert lines[3]["event"] == "Worker w1: quitting" and lines[3]["level"] == "error"
    for line in (lines[1], lines[2], lines[5], lines[6]):
        assert line["exception"]
    assert lines[6]["event"] == "nobody catches this"


def test_each_line_of_the_web_server_is_an_object(tmp_path: Path) -> None:
    """It is stopped by a setting that only its application looks at."""
    program = ["-m", "gunicorn", "--bind", f"unix:{tmp_path / 'web.sock'}", "--no-control-socket"]
    program += ["--logger-class", "dam_connector.web_server.server_log.ServerLog"]
    program += ["dam_connector.app:create_from_env()"]
    lines = run(
        program,
        DAM_CONNECTOR_LOG_FORMAT="json",
        DAM_CONNECTOR_DATA_DIR=str(tmp_path),
        DAM_CONNECTOR_RATE_LIMITS="foo",
    )
    assert "gunicorn.error" in {line.get("logger") for line in lines}
    (ours,) = [line for line in lines if line["event"] == "misconfigured"]
    assert "DAM_CONNECTOR_RATE_LIMITS" in str(ours["problems"])


def test_text_stays_text() -> None:
    program = PROGRAM.replace('configure_logging("json")', "configure_logging()")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert "Traceback" in done.stderr
    with pytest.raises(ValueError):
        json.loads(done.stderr.splitlines()[0])
