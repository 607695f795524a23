"""The worked example of docs/inverse.md, every code block in order."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "inverse.md"


@pytest.mark.slow
def test_every_code_block_of_the_page_runs(tmp_path: Path, monkeypatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 8
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {})
    assert (tmp_path / "posterior.nc").is_file() and list(tmp_path.glob("*.png"))
