"""A wrong choice ends inference and studies with one message, not with a traceback."""

import sys

import pytest

from duhamel.benchmark import study
from duhamel.inverse import __main__ as inference


@pytest.mark.parametrize(
    ("main", "arguments", "answer"),
    [
        (
            inference.main,
            ["+experiment=tumour_growth"],
            "experiment 'tumour_growth' is unknown (did you mean tumor_growth?)",
        ),
        (study.main, ["study=darcy_smal", "data=none"], "study 'darcy_smal' is unknown (did you mean darcy_small?)"),
    ],
    ids=["inverse", "study"],
)
def test_a_wrong_choice_is_answered(main, arguments, answer, monkeypatch, capfd, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # put back after the entry point has set it
    monkeypatch.setattr(sys, "argv", ["main", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    error = capfd.readouterr().err
    assert end.value.code == 1 and "Traceback" not in error
    assert f"error: {answer}" in error
