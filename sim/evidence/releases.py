"""Releases and list-price changes as the replay of the market uses them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from math import isnan, nan

from sim.evidence.imputation import (
    CROSSWALK_SD,
    MEASURED_SD,
    RULE_SD,
    Measured,
    Priced,
    impute_capability,
    impute_price,
)
from sim.evidence.tables import Row, last_month, number, table
from sim.months import month_of_day

DEVICE_PARAMETERS_B = 16.0  # the largest total size that runs on a laptop or phone at 4 bits


@dataclass(frozen=True)
class Release:
    """One model release of the evidence, complete enough to be put on offer.

    Parameters
    ----------
    month : int
        Month of release.
    date : str
        Day of release, ``YYYY-MM-DD``.
    lab, country, bloc, model, line : str
        Whose it is; `line` is the lab's product line that it continues.
    open : bool
        Weights published at release.
    degree : {'open_source', 'open_weights', 'restricted_weights', 'closed'}
        What the licence allows.
    licence : str
        As in the source.
    total_params_b, active_params_b : float
        Parameters, and those used per token [billions]; NaN if not known.
    capability : float
        [ECI points]
    capability_basis : str
        ``measured`` or ``imputed: <rule>``.
    capability_sd : float
        Standard deviation of `capability` [ECI points].
    input_price, output_price : float
        List price at release, or a host's where `price_kind` says so [USD/Mtok]; NaN if none.
    price_kind : {'first_party', 'hosted', 'none'}
        Whose price it is. Releases other than ``first_party`` have no API of their lab in the evidence.
    price_basis : str
        Where the price was read, or ``imputed: <rule>``.
    retires : tuple of str
        Other lines of the lab that end with this release.
    on_device : bool
        Open and small enough for a device (16 billion parameters in total or fewer).
    source : str
        Where the figures come from.
    """

    month: int
    date: str
    lab: str
    country: str
    bloc: str
    model: str
    line: str
    open: bool
    degree: str
    licence: str
    total_params_b: float
    active_params_b: float
    capability: float
    capability_basis: str
    capability_sd: float
    input_price: float
    output_price: float
    price_kind: str
    price_basis: str
    retires: tuple[str, ...]
    on_device: bool
    source: str


@dataclass(frozen=True)
class PriceChange:
    """A change of the list price of a release that was already on offer [USD/Mtok]."""

    month: int
    date: str
    lab: str
    model: str
    input_price: float
    output_price: float
    basis: str
    source: str


def releases(until: int | None = None) -> tuple[Release, ...]:
    """Return the releases up to and including month `until`, sorted by date, lab and model.

    Missing capabilities and prices are imputed (`sim.evidence.imputation`) from models up to `until` alone, so that
    nothing after the cut is used.
    """
    return _releases(last_month(until))


@cache
def _releases(end: int) -> tuple[Release, ...]:
    lines = _by_model("lines")
    terms = _by_model("release_terms")
    rows = _rows(end)
    measured = _measured(rows, lines, end)
    found = [_release(row, lines[_key(row)], terms[_key(row)], measured) for row in rows]
    priced = [
        Priced(r.month, r.bloc, r.capability, r.input_price, r.output_price)
        for r in found
        if r.price_kind == "first_party"
    ]
    return tuple(_with_price(release, priced) for release in found)


def price_changes(until: int | None = None) -> tuple[PriceChange, ...]:
    """Return the changes of list prices of existing releases up to month `until`, in order of date.

    A change that only the next snapshot of the source shows carries the date of that snapshot.
    """
    return _price_changes(last_month(until))


@cache
def _price_changes(end: int) -> tuple[PriceChange, ...]:
    models = {(row["date"], row["item"]): row["model"] for row in table("price_change_map")}
    changes = [
        PriceChange(
            month=month_of_day(row["date"]),
            date=row["date"],
            lab=row["lab"],
            model=models[row["date"], row["item"]],
            input_price=number(row["new_in"]),
            output_price=number(row["new_out"]),
            basis=row["basis"],
            source=row["source_url"],
        )
        for row in table("price_events")
        if models[row["date"], row["item"]] and month_of_day(row["date"]) <= end
    ]
    return tuple(sorted(changes, key=lambda change: (change.date, change.lab, change.model)))


def alive_lines(month: int, until: int | None = None) -> dict[tuple[str, str], Release]:
    """Return the current release of every line on offer in a month, keyed (lab, line).

    `until` limits the evidence as in `releases`.
    """
    current: dict[tuple[str, str], Release] = {}
    for release in releases(until):
        if release.month > month:
            break
        current[release.lab, release.line] = release
        for line in release.retires:
            current.pop((release.lab, line), None)
    return current


def measured_models(until: int | None = None) -> list[Measured]:
    """Return the models with a measured capability that imputation may use, in order of date."""
    end = last_month(until)
    return _measured(_rows(end), _by_model("lines"), end)


def _rows(end: int) -> list[Row]:
    rows = [row for row in table("releases") if month_of_day(row["date"]) <= end]
    return sorted(rows, key=lambda row: (row["date"], row["lab"], row["model"]))


def _key(row: Row) -> tuple[str, str]:
    return row["lab"], row["model"]


def _by_model(name: str) -> dict[tuple[str, str], Row]:
    return {_key(row): row for row in table(name)}


def _years(day: str) -> float:
    when = date.fromisoformat(day)
    return when.year + (when.timetuple().tm_yday - 1) / 365.25


def _measured(rows: list[Row], lines: dict[tuple[str, str], Row], end: int) -> list[Measured]:
    known = [
        Measured(_years(r["date"]), r["lab"], lines[_key(r)]["line"], r["open_weights"] == "1", float(r["eci"]))
        for r in rows
        if r["eci_basis"] == "measured"
    ]
    index = {row["model_version"]: row for row in table("eci")}
    for anchor in table("capability_anchors"):
        row = index[anchor["eci_model"]]
        if month_of_day(row["date"]) <= end:
            known.append(
                Measured(
                    _years(row["date"]),
                    anchor["lab"],
                    anchor["line"],
                    row["open_weights"] == "1",
                    float(row["eci"]),
                    counts=False,
                )
            )
    return known


def _capability(row: Row, line: str, measured: list[Measured]) -> tuple[float, str, float]:
    if row["eci_basis"] == "measured":
        return float(row["eci"]), "measured", MEASURED_SD
    if row["eci"]:
        return float(row["eci"]), "imputed: crosswalk from another index", CROSSWALK_SD
    stated = re.search(r"ECI for .* is (\d+\.?\d*)", row["note"])
    if stated:
        return float(stated[1]), "imputed: stated", RULE_SD["stated"]
    value, rule = impute_capability(_years(row["date"]), row["lab"], line, row["open_weights"] == "1", measured)
    return round(value, 2), f"imputed: {rule}", RULE_SD[rule]


def _release(row: Row, line: Row, terms: Row, measured: list[Measured]) -> Release:
    capability, basis, sd = _capability(row, line["line"], measured)
    total = number(row["params_total_b"])
    return Release(
        month=month_of_day(row["date"]),
        date=row["date"],
        lab=row["lab"],
        country=row["country"],
        bloc=line["bloc"],
        model=row["model"],
        line=line["line"],
        open=row["open_weights"] == "1",
        degree=terms["degree"],
        licence=row["licence"],
        total_params_b=total,
        active_params_b=number(row["params_active_b"]),
        capability=capability,
        capability_basis=basis,
        capability_sd=sd,
        input_price=number(terms["launch_input"] or row["price_input_usd_per_mtok"]),
        output_price=number(terms["launch_output"] or row["price_output_usd_per_mtok"]),
        price_kind=terms["price_kind"],
        price_basis="launch price in the note of the source" if terms["launch_input"] else row["price_basis"],
        retires=tuple(line["retires"].split(";")) if line["retires"] else (),
        on_device=row["open_weights"] == "1" and total <= DEVICE_PARAMETERS_B,
        source=row["source"],
    )


def _with_price(release: Release, priced: list[Priced]) -> Release:
    if release.open or not isnan(release.input_price):
        return release
    try:
        prices = impute_price(release.month, release.bloc, release.capability, priced)
    except ValueError:
        prices = (nan, nan)
    return replace(
        release,
        input_price=prices[0],
        output_price=prices[1],
        price_kind="first_party",
        price_basis="imputed: median of similar releases of the bloc",
    )
