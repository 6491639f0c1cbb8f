"""Write what documents take from results: `python -m tests.refresh_docs outputs/baseline outputs/tight-controls`.

The picture, the table and the findings of the README, and docs/evidence-check.md, from the result folder of `make run`
and from one of `sim run tight-controls` by the same program.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from sim.months import parse_month
from sim.present.screen import observation_table, outcome_table
from sim.results import Results, load_results

ROOT = Path(__file__).parent.parent
INTRODUCTION = """# The model beside the observations

Made from the {runs} runs of `make run` (result {result}, seed {seed}, version {version}) by
`python -m tests.refresh_docs outputs/baseline`. Four values were set by hand to the base year; c marks the observations
that these and other defaults cite. Nothing is fitted by an algorithm.
Series marked *replayed* are inputs: agreement there proves nothing.
The populations differ (router, enterprise survey, hub downloads) and are never averaged.

"""


FINDINGS = """\
- *Tokens move before money does.* Open weights carry {tokens} % of tokens at the end of 2030, {workloads} % of
  workloads and {spend} % of spending: large bills go to cheap models. How fast depends most on priors that no data pins
  down: whether labs go on pricing below what a static rule asks, and how needs and budgets grow
  ([docs/model.md](docs/model.md), section 8).
- *Open weights give more tokens for less money, and hardly move closed list prices.* In the same world with weights
  withheld users would get {lost_near} fewer tokens at the end of 2027 and {lost_far} at that of 2030, and pay
  {paid_near} and {paid_far} more. The form of demand decides that they pay more and not less, not how much: who moves
  to a dearer offer never spends less (docs/model.md, 61). Closed list prices hardly differ (pricing pressure at the end
  of 2027: {pressure}): who minds prices leaves for open models, and who stays minds them less.
- *Controls widen the gap and do not stop adoption.* `tight-controls` against `baseline` at the end of 2030: {gap}
  points of capability, {share} points of open token share, {chinese} of that of Chinese open models, which others
  partly replace.
"""


def at(results: Results, column: str, month: str) -> np.ndarray:
    """Return a column of `market.parquet` in a month, shape (runs,)."""
    market = results.tables["market"]
    rows = market["month"] == parse_month(month)
    return np.asarray(market[column][rows], float)[np.argsort(market["run"][rows])]


def band(values: np.ndarray, unit: str = "", digits: int = 0) -> str:
    """Return the median with the range of 90 % of runs."""
    low, middle, high = (f"{round(float(v), digits) + 0.0:.{digits}f}" for v in np.quantile(values, (0.05, 0.5, 0.95)))
    return f"{middle}{unit} [{low}..{high}]"


def findings(base: Results, tight: Results) -> str:
    """Return what the README says of two results, from their numbers."""
    near, far = "2027-12", "2030-12"

    def share(column: str) -> str:
        return f"{100 * np.median(at(base, column, far)):.0f}"

    def twin(column: str, month: str, sign: float) -> str:
        change = at(base, f"twin_{column}", month) / at(base, column, month) - 1.0
        return band(sign * 100 * change, " %")

    def moved(column: str, digits: int, scale: float = 1.0) -> str:
        return band(scale * (at(tight, column, far) - at(base, column, far)), digits=digits)

    return FINDINGS.format(
        tokens=share("open_token_share"),
        workloads=share("open_workload_share"),
        spend=share("open_spend_share"),
        lost_near=twin("total_tokens", near, -1.0),
        lost_far=twin("total_tokens", far, -1.0),
        paid_near=twin("total_spend", near, 1.0),
        paid_far=twin("total_spend", far, 1.0),
        pressure=band(100 * at(base, "pricing_pressure", near), " %"),
        gap=moved("gap_points", 1),
        share=moved("open_token_share", 1, 100.0),
        chinese=moved("chinese_open_token_share", 1, 100.0),
    )


def main(folder: str, tight: str) -> None:
    """Write the documents from two result folders."""
    results = load_results(folder)
    manifest = results.manifest
    against = load_results(tight)
    if against.manifest["key"]["code_hash"] != manifest["key"]["code_hash"]:
        raise SystemExit(f"{tight} and {folder} are of different versions of the program: run both again")
    readme = ROOT / "README.md"
    table = f"ends with this table (median and the range of 90 % of runs):\n\n```\n{outcome_table(results)}\n```"
    text, count = re.subn(
        r"ends with this table \(median and the range of 90 % of runs\):\n\n```\n.*?\n```",
        lambda _: table,
        readme.read_text(),
        flags=re.S,
    )
    start, end = "What the model says, and what decides it:\n\n", "\n## Five minutes"
    if count != 1 or text.count(start) != 1 or text.count(end) != 1:
        raise SystemExit("README.md: the place of the table or of the findings was not found")
    text = text[: text.index(start) + len(start)] + findings(results, against) + text[text.index(end) :]
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
    main(*sys.argv[1:])
