"""The stopwatch itself; the figures depend on the machine and are no test."""

from pathlib import Path

import pytest

from duhamel.benchmark import import_time


def test_only_the_statement_is_timed() -> None:
    sleep = "time.sleep(0.3)"
    times = import_time.median_seconds({"slow": ("pass", sleep), "after a slow setup": (sleep, "pass")}, repeats=1)
    assert times["slow"] >= 0.3
    assert times["after a slow setup"] < 0.2


def test_a_statement_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        import_time.seconds("pass", "1 / 0")


def test_no_repeats_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        import_time.median_seconds({"a": ("pass", "pass")}, repeats=0)


@pytest.mark.parametrize(
    ("duhamel", "load", "status"), [(1.1, 0.9, 0), (1.3, 0.9, 1), (1.1, 1.1, 1)], ids=["met", "import", "load"]
)
def test_exit_status_says_whether_targets_are_met(
    duhamel: float, load: float, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seconds = {"import torch, lightning": 1.0, "import duhamel": duhamel}
    monkeypatch.setattr(import_time, "seconds", lambda setup, statement: seconds.get(statement, load))
    assert import_time.main([str(tmp_path / "surrogate.safetensors")]) == status


def test_load_is_left_out_without_a_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(import_time, "seconds", lambda setup, statement: 1.0)
    assert import_time.main([]) == 0
    assert "no surrogate file given" in capsys.readouterr().out
