"""What the terminal shows at the end of a run: outcomes at four dates, and the model beside what was observed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.analysis.compare_observed import Comparison, not_compared, observed_comparison
from sim.analysis.series import Outcomes, RunSeries, outcomes
from sim.months import format_month
from sim.present.wording import Estimate, band_words, estimate, last_place, number, plain, scenario_name

WIDTH = 100
LABEL, CELL = 28, 18
DATES = 4
# power of ten of the last digit worth showing
FINEST = {"%": -1, "months": -1, "points": -1, "USD/Mtok": -2, "cents/Mtok": -2, "USD/Gtok": -2}
# Units of prices: the first in which every median of the row is at least a tenth, else the last.
PRICE_UNITS = (("USD/Mtok", 1.0), ("cents/Mtok", 100.0), ("USD/Gtok", 1000.0))
# label, unit, column of the market table ("" is computed here), scale to the unit shown
ROWS = (
    ("Open share of workloads", "%", "open_workload_share", 100.0),
    ("Open share of tokens", "%", "open_token_share", 100.0),
    ("Chinese open, workloads", "%", "chinese_open_workload_share", 100.0),
    ("Chinese open, tokens", "%", "chinese_open_token_share", 100.0),
    ("Self-hosted, workloads", "%", "", 100.0),
    ("Self-hosted, tokens", "%", "self_host_token_share", 100.0),
    ("Closed price paid", "USD/Mtok", "closed_price", 1.0),
    ("Open price paid", "USD/Mtok", "open_price", 1.0),
    ("Open behind closed", "months", "gap_months", 1.0),
    ("Open behind closed", "points", "gap_points", 1.0),
    ("Pricing pressure on closed", "%", "pricing_pressure", 100.0),
)
POPULATIONS = {
    "router": "Router: price-shopping developers, not the market",
    "enterprise": "Enterprise survey: firms, mostly in the US",
    "downloads": "Hub downloads: what developers try",
    "capability": "Capability",
    "prices": "Prices",
    "compute": "Compute",
    "revenue": "Revenue of labs from their API",
}
# unit of an observation -> as shown, scale
UNITS = {
    "share": ("%", 100.0),
    "share/year": ("%/year", 100.0),
    "share of revenue": ("%", 100.0),
    "factor/year": ("x/year", 1.0),
    "ECI points/year": ("points/year", 1.0),
    "trillion tokens/week": ("T tokens", 1.0),
    "USD billion/year": ("bn USD", 1.0),
    "million": ("M", 1.0),
    "million H100e": ("M H100e", 1.0),
    "thousand H100e": ("k H100e", 1.0),
    "thousand chips": ("k chips", 1.0),
    "thousand Ascend units": ("k units", 1.0),
}
KINDS = {
    "lab_token_share": "{of}, of tokens",
    "lab_workload_share": "{of}, of workloads",
    "lab_share_of_open": "{of}, of open tokens",
    "lab_share_of_workload": "{of}, of its tokens",
    "workload_token_share": "{of}, of tokens",
    "workload_share_of_open": "{of}, of open tokens",
    "annual_upgrade_within_vendor_rate": "Annual upgrade with vendor",
    "legal_accelerators_added": "Legal accelerators added {of}",
    "smuggled_accelerators": "Smuggled accelerators {of}",
    "domestic_accelerators": "Domestic accelerators {of}",
    "api_spend_annualised": "API spend a year",
    "annualised_revenue": "Revenue a year: {of}",
    "gpu_hour_price": "GPU hour price",
    "price_decline_at_constant_capability": "Price fall, same capability",
    "hosted_over_first_party_price": "Hosted over first-party price",
    "list_price_ratio": "List price: {of}",
}


def headline_months(outcome: Outcomes) -> list[int]:
    """Return up to four months to report: the end of history, two on the way, the end of the run.

    The two on the way are the Decembers nearest to two and four fifths of the projection, so that the default
    horizon gives 2025-12, 2027-12, 2029-12 and 2030-12. A run without projection is spread from its start.
    """
    start, end = outcome.start, outcome.end
    first = min(max(outcome.hand_over, start), end)
    first = start if first == end else first
    found = [first, end]
    for part in (0.4, 0.8):
        target = first + part * (end - first)
        decembers = [month for month in range(first + 1, end) if month % 12 == 11 and abs(month - target) <= 6]
        found.append(min(decembers, key=lambda month: abs(month - target)) if decembers else round(target))
    return sorted(set(found))[:DATES]


def outcome_table(results: Any) -> str:
    """Return the one-screen table: adoption, prices, gaps and pressure at four dates, median and 90 % band over runs.

    At most 100 columns of plain text; "-" where the result holds no number. Without a twin world there is no row of
    pricing pressure, and without a band no chance that it is above zero.
    """
    outcome = outcomes(results)
    months = headline_months(outcome)
    lines = [
        f"{scenario_name(outcome)}: {outcome.runs} run{'s' if outcome.runs != 1 else ''}"[:WIDTH],
        " " * LABEL + "".join(f"{format_month(month):>{CELL}}" for month in months),
    ]
    for label, unit, column, scale in ROWS:
        series = outcome.market(column) if column else _self_hosted_workloads(outcome)
        if column == "pricing_pressure" and series.empty:
            continue
        lines.append(_row(label, unit, scale, [estimate(series.at(month)) for month in months]))
        if column == "pricing_pressure" and outcome.runs > 1:
            lines.append(_chance_row("  chance it is above 0", [series.at(month) for month in months]))
    lines.append(_band_line(outcome, months))
    lines += _population_line(outcome)
    lines += _status_line(outcome)
    return "\n".join(line.rstrip() for line in lines)


def _self_hosted_workloads(outcome: Outcomes) -> RunSeries:
    from sim.analysis.segments import over_segments

    return over_segments(outcome, "self_host_share")


def _row(label: str, unit: str, scale: float, cells: list[Estimate]) -> str:
    if unit == "USD/Mtok":
        lowest = min((found.median for found in cells if found.known), default=1.0)
        unit, scale = next((one for one in PRICE_UNITS if lowest * one[1] >= 0.1), PRICE_UNITS[-1])
    texts = "".join(f"{_cell(found, unit, scale):>{CELL}}" for found in cells)
    return f"{label:<{LABEL - len(unit)}}{unit}{texts}"


def _cell(found: Estimate, unit: str, scale: float) -> str:
    """Return median and band in less than a cell: with one digit less, then as powers of ten, where it is too long."""
    for digits in (2, 1):
        median, band = band_words(found, scale, digits, finest=FINEST[unit])
        text = f"{median} [{band.replace(' to ', '..')}]" if band else median
        if len(text) < CELL:
            return text
    return f"{found.median * scale:.0e}[{found.low * scale:.0e}..{found.high * scale:.0e}]".replace("e+0", "e")


def _chance_row(label: str, samples: list[NDArray[np.float64]]) -> str:
    """Return a row of the part of the runs with a value in which it is positive, where half of them have one."""
    found = [sample[np.isfinite(sample)] for sample in samples]
    cells = (
        number(100.0 * float((known > 0.0).mean()), 0) if known.size and 2 * known.size >= sample.size else "-"
        for known, sample in zip(found, samples, strict=True)
    )
    return f"{label:<{LABEL - 1}}%" + "".join(f"{cell:>{CELL}}" for cell in cells)


def _population_line(outcome: Outcomes) -> list[str]:
    """Return one line where taste nodes carry the population and nobody draws, none for workloads that draw."""
    options = outcome.manifest.get("options", {})
    if options.get("population") != "mean-field":
        return []
    return [f"Mean-field: the population is shares of {options['nodes']:,} taste nodes, without the luck of the draw."]


def _status_line(outcome: Outcomes) -> list[str]:
    """Return one line that counts what the months' list prices are, none where no lab solves for them."""
    counts = {word: n for word, n in outcome.manifest.get("equilibrium_status", {}).items() if word != "none"}
    if not counts:
        return []
    words = ", ".join(f"{n:,} {plain(word)}" for word, n in counts.items())
    return [f"List prices labs want, {sum(counts.values()):,} months of all runs: {words}. What they post lags behind."]


def _band_line(outcome: Outcomes, months: list[int]) -> str:
    replayed = ", ".join(format_month(month) for month in months if month <= outcome.hand_over)
    history = f" {replayed}: releases and list prices replayed, use simulated." if replayed else ""
    if outcome.runs == 1:
        return f"A single run: no band.{history}"
    return f"Median of {outcome.runs} runs [5-95 % of runs].{history}"


def evidence_line(results: Any) -> str:
    """Return one line that says how many observed values of the history the model comes near."""
    rows = [row for row in observed_comparison(outcomes(results)) if not row.projected]
    banded = [row for row in rows if row.inside is not None and row.role == "held_out"]
    if not banded:
        return "  evidence   no observed value lies in the months of this run"
    near = sum(bool(row.inside) for row in banded)
    return (
        f"  evidence   {near} of {len(banded)} observed values inside their band: uncalibrated (docs/evidence-check.md)"
    )


def observation_table(results: Any, observed: Iterable[Any] | None = None) -> str:
    """Return the model beside each observed series that it records, over the same windows, at most 100 columns.

    Parameters
    ----------
    results : Results
        A finished result.
    observed : iterable of Observation, optional
        The observations; by default those of the package.

    Returns
    -------
    str
        Observed value and band, the model's median, their difference, and whether the median lies in the band, by
        population; windows that end after the hand-over are left out. The last lines count what agrees and what the
        model has no counterpart of.
    """
    outcome = outcomes(results)
    chosen = None if observed is None else tuple(observed)
    rows = [row for row in observed_comparison(outcome, chosen) if not row.projected]
    lines = [f"{'':<40}{'window':>17}{'observed':>19}{'model':>8}{'diff.':>8}{'in band':>8}"]
    for panel in dict.fromkeys(row.panel for row in rows):
        lines.append(plain(POPULATIONS.get(panel, panel.capitalize())))
        lines += [_comparison_line(row) for row in rows if row.panel == panel]
    banded = [row for row in rows if row.inside is not None and row.role == "held_out"]
    lines.append(f"Median in the observed band: {sum(bool(row.inside) for row in banded)} of {len(banded)} series.")
    if any(row.role == "replayed" for row in rows):
        lines.append("r: replayed, an input of the history or derived from one; not counted, agreement proves nothing.")
    if any(row.role == "fitted" for row in rows):
        lines.append("c: a default of the register cites it; not counted either.")
    missing = len(not_compared(outcome, chosen))
    if missing:
        lines.append(f"{missing} other observed values have no counterpart in this version of the model or this run.")
    return "\n".join(line.rstrip() for line in lines)


def series_words(name: str, unit: str) -> str:
    """Return the name of a series and its unit in words, for example ``Open token share [%]``."""
    kind, _, of = name.partition(":")
    usual = f"{kind.replace('_', ' ')}{': {of}' if of else ''}"
    words = plain(KINDS.get(kind, usual).format(of=of))
    return f"{words[:1].upper()}{words[1:]} [{UNITS.get(unit, (unit, 1.0))[0]}]"


def _comparison_line(row: Comparison) -> str:
    scale = UNITS.get(row.unit, ("", 1.0))[1]
    place = last_place(row.observed * scale, digits=2)
    value, low, high, model, difference = (
        number(one * scale, max(place, last_place(one * scale, digits=2)) if one is not row.difference else place)
        for one in (row.observed, row.low, row.high, row.median, row.difference)
    )
    window = format_month(row.start) if row.start == row.end else f"{format_month(row.start)}..{format_month(row.end)}"
    band = f" [{low}-{high}]" if row.inside is not None else ""
    inside = {True: "yes", False: "no", None: "-"}[row.inside] + {"replayed": " r", "fitted": " c"}.get(row.role, "")
    name = series_words(row.series, row.unit)
    name = name if len(name) <= 38 else name[:36] + ".."
    sign = "+" if row.difference > 0 and not difference.startswith("-") else ""
    return f"  {name:<38}{window:>17}{value + band:>19}{model:>8}{sign + difference:>8}{inside:>8}"
