"""A page that ranks what several benchmarks measured: `python -m duhamel.benchmark.leaderboard FOLDER`.

Only results on the same samples (`Document.samples`) are ranked together, and only by error: seconds of
different machines do not compare, so speed-ups, ratios on one machine, stand beside with the machine they are from.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from duhamel.benchmark.comparison import BEST
from duhamel.benchmark.report import environment, script
from duhamel.benchmark.result import Comparison, Document, SettingResult, read


@dataclass(frozen=True)
class Place:
    """A setting in one file; comparison: of a surrogate at its best batch size, by median error."""

    path: str
    setting: SettingResult
    comparison: Comparison | None
    document: Document


def places(folder: Path) -> dict[str, list[Place]]:
    """By samples, the most accurate first; every benchmark.json below the folder. ValueError where there is none."""
    found: dict[str, list[Place]] = {}
    for path in sorted(folder.rglob("benchmark.json")):
        document = read(path)
        r = document.result
        compared = {c.surrogate: c for c in r.comparisons if c.batch == BEST and c.at == "median"}
        for setting in r.settings:
            place = Place(str(path.relative_to(folder)), setting, compared.get(setting.name), document)
            found.setdefault(document.samples, []).append(place)
    if not found:
        raise ValueError(f"{folder}: no benchmark.json below it")
    last = float("inf")
    for group in found.values():
        group.sort(key=lambda p: (bool(p.setting.reason), last if (e := p.setting.median_error) is None else e))
    return found


def write(folder: Path, out: Path) -> None:
    """The page, self-contained."""
    template = environment().get_template("leaderboard.html.j2")
    out.write_text(template.render(groups=places(folder).values(), sortable=script()), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m duhamel.benchmark.leaderboard", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="by default FOLDER/leaderboard.html")
    given = parser.parse_args(arguments)
    out = given.out or given.folder / "leaderboard.html"
    write(given.folder, out)
    Console().print(f"{out}")


if __name__ == "__main__":
    main()
