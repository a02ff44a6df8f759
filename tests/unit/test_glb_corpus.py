"""The benchmark over public GLBs: each file has a row, whatever becomes of it."""

import sys
from pathlib import Path

import pytest

from benchmarks import glb_corpus
from tests.unit.glb_cases import double_sided, transmission
from worker.check_process import CheckProcess


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    files = {"kept": double_sided(), "glass": transmission(), "broken": b"no GLB", "again": double_sided()}
    for name, data in files.items():
        (tmp_path / f"{name}.glb").write_bytes(data)
    return tmp_path


def test_each_file_has_a_row(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(glb_corpus, "check_codes", lambda made, original, checker: ())
    monkeypatch.setattr(sys, "argv", ["glb_corpus", "--folder", str(corpus)])
    glb_corpus.main()
    printed = capsys.readouterr().out
    assert '"files": 3' in printed and '"with_a_named_loss": 1' in printed
    assert '"finished": 2' in printed and '"refused": 1' in printed


def test_a_bug_of_ours_is_a_crash_of_its_file(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glb_corpus, "finish", lambda data: 1 / 0)
    row = glb_corpus.measure_file(corpus / "kept.glb", "kept", CheckProcess(), None)
    assert row.outcome == "crashed" and "ZeroDivisionError" in row.detail


def test_measuring_nothing_fails_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["glb_corpus", "--folder", str(tmp_path)])
    with pytest.raises(SystemExit, match="nothing measured"):
        glb_corpus.main()
    (tmp_path / "broken.glb").write_bytes(b"no GLB")
    with pytest.raises(SystemExit, match="nothing measured: no GLB"):
        glb_corpus.main()
