"""Write the parts of the documents that come from a result: `python -m tests.refresh_docs outputs/baseline`.

The picture and the table of the README, and docs/evidence-check.md, from the result folder of `make run`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sim.present.screen import observation_table, outcome_table
from sim.results import load_results

ROOT = Path(__file__).parent.parent
INTRODUCTION = """# The model beside the observations

Made from the {runs} runs of `make run` (result {result}, seed {seed}, version {version}) by
`python -m tests.refresh_docs outputs/baseline`. Four values were set by hand to the base year (their observations
are marked c); nothing else is fitted.
Series marked *replayed* are inputs: agreement there proves nothing.
The populations differ (router, enterprise survey, hub downloads) and are never averaged.

"""


def main(folder: str) -> None:
    """Write the documents from a result folder."""
    results = load_results(folder)
    manifest = results.manifest
    readme = ROOT / "README.md"
    table = f"ends with this table (median and the range of 90 % of runs):\n\n```\n{outcome_table(results)}\n```"
    text, count = re.subn(
        r"ends with this table \(median and the range of 90 % of runs\):\n\n```\n.*?\n```",
        lambda _: table,
        readme.read_text(),
        flags=re.S,
    )
    if count != 1:
        raise SystemExit("README.md: the place of the table was not found")
    readme.write_text(text)
    words = INTRODUCTION.format(
        runs=manifest["runs"], result=manifest["result_id"], seed=manifest["seed"], version=manifest["model_version"]
    )
    check = f"{words}```\n{observation_table(results)}\n```\n"
    (ROOT / "docs" / "evidence-check.md").write_text(check)
    figures = ROOT / "docs" / "figures"
    figures.mkdir(exist_ok=True)
    (figures / "adoption.png").write_bytes((Path(folder) / "figures" / "adoption.png").read_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
