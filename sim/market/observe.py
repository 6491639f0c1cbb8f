"""Turn a month's state into the rows of the record: market, labs, offers, segments, panels."""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.market import demand, followed, offering, resources, supply, worlds
from sim.market.adopters import CN, MonthView
from sim.market.stages import hosting, observation
from sim.market.stages.accounts import herfindahl, in_order, ratio, totals
from sim.market.stages.host_entry import host_elasticity, host_markup
from sim.market.tables import HOST, LAB_API, NONE, ON_DEVICE, SELF_HOST, Bools, Floats, OfferTable
from sim.scenario.schema import BLOCS, CHANNELS, GROUPS

if TYPE_CHECKING:
    from sim.market.market import Market

# By population what it cannot fill: `table.column`, or `panels.panel.series`; NaN in the files, listed in the manifest.
NOT_FILLED: dict[str, tuple[str, ...]] = {
    "agents": (),
    "mean-field": (  # nobody's past is known
        "panels.router.cohort_retention_5_months",
        "panels.enterprise.annual_vendor_switch_rate",
        "panels.enterprise.annual_upgrade_within_vendor_rate",
    ),
}
REFERENCE_SELF_HOST = (70.0, 1000.0)  # billions of active parameters and Mtok/month of the self-host cost series
US, ENTERPRISE = BLOCS.index("US"), GROUPS.index("ordinary")
SEGMENTS = {"group": np.repeat(np.array(GROUPS, object), len(BLOCS)), "bloc": np.array(BLOCS * len(GROUPS), object)}


def record_month(market: Market, view: MonthView, costs: offering.Costs, priced: offering.Prices) -> None:
    """Write one month into the market's record."""
    month, record = market.month, market.record
    state = market.releases
    race = observation.race(
        state.month,
        state.capability,
        state.is_open,
        market.labs.bloc[state.lab],
        offering.served(market),
        now=month,
        tolerance=market.parameters["observation.tie_tolerance"],
    )
    by_lab = [_by_lab(market, getattr(market.accounts, name)) for name in ("workloads", "tokens", "spend")]
    record.write_market(month, **_market_row(market, race, view, _sold(market, view.offers, priced), *by_lab[1:]))
    record.append("labs", month, **_lab_rows(market, *by_lab))
    record.append("offers", month, **_offer_rows(market, costs, priced))
    record.append("segments", month, **_segment_rows(market))
    seen = [(panel, *one) for panel, series in _panels(market, race).items() for one in series.items()]
    record.append("panels", month, **dict(zip(("panel", "series", "value"), zip(*seen, strict=True), strict=True)))


def _sold(market: Market, offers: OfferTable, priced: offering.Prices) -> tuple[Floats, Floats]:
    """Return capability as tested [ECI points] and price [USD/Mtok] of what labs list and of all weights that are out.

    Weights that are out stay out: a superseded open model still sets the price of what it can do.
    """
    listed, weights = offers.release[offers.channel == LAB_API], np.flatnonzero(market.releases.is_open)
    capability = market.releases.capability[np.concatenate([listed, weights])]
    return capability, np.concatenate([priced.api_list[listed], priced.host_list[weights]])


def _market_row(
    market: Market,
    race: observation.Race,
    view: MonthView,
    sold: tuple[Floats, Floats],
    lab_tokens: Floats,
    lab_spend: Floats,
) -> dict[str, Any]:
    books, state, compute = market.accounts, market.releases, market.compute
    is_open, closed = state.is_open, ~state.is_open
    chinese_open = is_open & (market.labs.bloc[state.lab] == CN)
    tokens, spend, workloads = books.tokens, books.spend, books.workloads
    open_tokens, open_spend, open_workloads = (float(amount[is_open].sum()) for amount in (tokens, spend, workloads))
    return {
        "open_workload_share": ratio(open_workloads, books.all_workloads),
        "open_token_share": ratio(open_tokens, books.all_tokens),
        "open_spend_share": ratio(open_spend, books.all_spend),
        "chinese_open_workload_share": ratio(workloads[chinese_open].sum(), books.all_workloads),
        "chinese_open_token_share": ratio(tokens[chinese_open].sum(), books.all_tokens),
        "self_host_token_share": ratio(tokens[:, [SELF_HOST, ON_DEVICE]].sum(), books.all_tokens),
        "closed_price": ratio(spend[closed].sum(), tokens[closed].sum()),
        "open_price": ratio(open_spend, open_tokens),
        "price_at_eci_126": observation.lowest_price(*sold, 126.0),
        "price_at_eci_140": observation.lowest_price(*sold, 140.0),
        "closed_margin": 1.0 - ratio(books.cost[closed, LAB_API].sum(), spend[closed, LAB_API].sum()),
        "hhi_tokens": herfindahl(lab_tokens),
        "hhi_spend": herfindahl(lab_spend),
        "gap_points": race.closed - race.open,
        "gap_months": race.gap_months,
        "china_lag_months": race.china_lag,
        "compute_us": float(resources.bloc_stocks(market)[US]),
        "compute_cn": compute.china,
        "compute_cn_legal": compute.legal,
        "compute_cn_diverted": compute.diverted,
        "compute_cn_domestic": compute.domestic,
        "compute_cn_rented": compute.rented,
        "unmet_tokens": market.unmet_tokens,
        "total_tokens": books.all_tokens,
        "total_spend": books.all_spend,
        "spend_labs": books.spend_labs,
        "spend_hosts": books.spend_hosts,
        "spend_self_host": books.spend_self_host,
        "consumer_surplus": books.surplus,
        "pricing_pressure": np.nan if market.twin is None else worlds.pricing_pressure(market, market.twin),
        **_twin_columns(market),
        "contestable_revenue_share": demand.contestable_share(market, view),
        "equilibrium_status": market.price_month.status or None,
        "deviation_gain": market.price_month.deviation_gain,
        "posted_deviation_gain": market.price_month.posted_gain,
    }


def _twin_columns(market: Market) -> dict[str, float]:
    """Return totals of the world without open weights; none where it does not run."""
    if market.twin is None:
        return {}
    books = market.twin.accounts
    return {
        "twin_total_tokens": books.all_tokens,
        "twin_total_spend": books.all_spend,
        "twin_consumer_surplus": books.surplus,
    }


def _by_lab(market: Market, by_offer: Floats) -> Floats:
    """Return amounts by the lab that made the model, whoever serves it, shape (labs,)."""
    amount = reduce(np.add, by_offer.T)  # faster than a sum of so few
    return totals(market.releases.lab, amount, len(market.labs.names))


def _shares(amount: Floats) -> Floats:
    total = in_order(amount)
    return amount / total if total > 0 else np.full_like(amount, np.nan)


def downloads_by_lab(market: Market) -> Floats:
    """Return hub downloads so far by lab, shape (labs,)."""
    return totals(market.lines.lab, market.downloads, len(market.labs.names))


def _lab_rows(market: Market, workloads: Floats, tokens: Floats, spend: Floats) -> dict[str, np.ndarray]:
    """Return the labs, with what is used of their models, shapes (labs,)."""
    books, state, labs = market.accounts, market.releases, market.labs
    count = len(labs.names)
    revenue = totals(state.lab, books.spend[:, LAB_API], count)
    cost = totals(state.lab, books.cost[:, LAB_API], count)
    on = np.flatnonzero(offering.offered(market).any(axis=1))
    best = np.full(count, np.nan)
    np.fmax.at(best, state.lab[on], state.capability[on])
    return {
        "lab": np.array(labs.names, object),
        "bloc": np.array(BLOCS, object)[labs.bloc],
        "capability": best,
        "workload_share": _shares(workloads),
        "token_share": _shares(tokens),
        "spend_share": _shares(spend),
        "revenue": revenue,
        "gross_profit": revenue - cost,
        "research_compute": labs.research_compute,
        "serving_load": labs.serving_load,
        "downloads_cumulative": downloads_by_lab(market),
    }


def _offer_rows(market: Market, costs: offering.Costs, priced: offering.Prices) -> dict[str, np.ndarray]:
    """Return offers that are listed or still in use."""
    books, state = market.accounts, market.releases
    release, channel = np.nonzero(offering.offered(market) | (books.workloads > 0) | (books.tokens > 0))
    return {
        "lab": np.array(market.labs.names, object)[state.lab[release]],
        "line": _line_names(market.lines.names)[state.line[release]],
        "release": np.array([state.names[row] for row in release.tolist()], object),
        "channel": np.array(CHANNELS, object)[channel],
        "open_weights": state.is_open[release].astype(float),
        "capability": state.capability[release],
        "list_price": offering.list_prices(release, channel, costs, priced),
        "marginal_cost": np.where(
            channel == SELF_HOST, costs.own[release], np.where(channel == ON_DEVICE, 0.0, costs.marginal[release])
        ),
        "workload_share": books.workloads[release, channel] / max(books.all_workloads, 1e-300),
        "token_share": books.tokens[release, channel] / max(books.all_tokens, 1e-300),
    }


@lru_cache(maxsize=4)
def _line_names(lines: tuple[str, ...]) -> np.ndarray:
    """Return the names of lines without those of their labs, (lines,)."""
    return np.array([name.split("/", 1)[1] for name in lines], object)


def _segment_rows(market: Market) -> dict[str, np.ndarray]:
    books = market.accounts
    with np.errstate(invalid="ignore", divide="ignore"):
        used = books.segment_workloads
        rows = {
            "workloads": books.segment_present,
            "tokens": books.segment_tokens,
            "spend": books.segment_spend,
            "open_workload_share": books.segment_open / used,
            "chinese_open_workload_share": books.segment_chinese_open / used,
            "self_host_share": books.segment_own / used,
            "outside_share": np.maximum(0.0, 1.0 - used / books.segment_present),
        }
    return SEGMENTS | {name: values.ravel() for name, values in rows.items()}


def _panels(market: Market, race: observation.Race) -> dict[str, dict[str, float]]:
    """Return the panels' series."""
    ledger, labs = market.ledger, market.labs
    developers, enterprises = slice(0, ENTERPRISE), slice(ENTERPRISE, len(GROUPS))
    hosted = ledger.channel <= HOST
    tokens = ledger.shaped("tokens")
    router = observation.router_series(
        _sample(
            market,
            developers,
            slice(None),
            hosted,
            "tokens",
            _billing(market, np.compress(hosted, tokens[developers], axis=-1)),
        ),
        labs.names,
        float(tokens.sum()),
        market.parameters["observation.router_share"],
    )
    enterprise = observation.enterprise_series(
        _sample(market, enterprises, slice(US, US + 1), np.ones(len(hosted), bool), "workloads"), labs.names
    )
    router["cohort_retention_5_months"], rates = followed.rates(market)
    enterprise |= rates
    api = ledger.shaped("spend")[enterprises][:, np.arange(len(BLOCS)) != CN][..., hosted]
    enterprise["api_spend_annualised"] = float(api.sum()) * 12.0 / 1e9
    by_lab = downloads_by_lab(market)
    downloads = observation.downloads_series(by_lab, market.downloads_before, labs.bloc, labs.names)
    return {
        "router": router,
        "enterprise": enterprise,
        "downloads": downloads,
        "capability": _capability_series(race),
        "prices": _price_series(market),
        "compute": _compute_series(market),
        "revenue": _revenue_series(market),
        "demand": _demand_series(market),
    }


def _sample(
    market: Market, groups: slice, blocs: slice, states: Bools, name: str, factor: Floats | float = 1.0
) -> observation.Sample:
    """Return the part of the ledger that a panel sees.

    Parameters
    ----------
    groups, blocs : slice
        The adopter groups and blocs seen.
    states : array of bool
        The states seen.
    name : str
        What is counted: 'tokens' or 'workloads'.
    factor : array, shape (blocs,), or float
        How much the panel over-represents each bloc.
    """
    ledger, state = market.ledger, market.releases
    seen = np.asarray(factor)[..., None, None]

    def part(amount: Floats) -> Floats:
        return (seen * amount[groups, blocs].sum(axis=0)).sum(axis=0).compress(states, axis=-1)

    release = ledger.release[states]
    lab = state.lab[release]
    return observation.Sample(
        lab=lab,
        line=state.line[release],
        is_open=state.is_open[release],
        chinese=market.labs.bloc[lab] == CN,
        amount=part(ledger.shaped(name)),
        spend=part(ledger.shaped("spend")),
    )


def _billing(market: Market, tokens: Floats) -> Floats:
    """Return the factor by which the router over-represents each bloc, shape (blocs,) (eq. 90).

    `tokens` are those it could see, shape (groups, blocs, classes, states).
    """
    seen = tokens.sum(axis=2).transpose(2, 0, 1).reshape(-1, len(BLOCS)).sum(axis=0)
    bills = np.array([market.parameters[f"observation.router.{b}"] for b in BLOCS])
    return np.divide(bills / bills.sum() * seen.sum(), seen, out=np.zeros(len(BLOCS)), where=seen > 0)


def _capability_series(race: observation.Race) -> dict[str, float]:
    return {
        "open_gap_points": race.closed - race.open,
        "open_lag_months": race.gap_months_tied,
        "china_lag_months": race.china_lag,
        "closed_frontier": race.closed,
        "open_frontier": race.open,
        "us_frontier": race.us,
        "china_frontier": race.china,
    }


def _price_series(market: Market) -> dict[str, float]:
    p, books, state = market.parameters, market.accounts, market.releases
    size, volume = REFERENCE_SELF_HOST
    hour = supply.gpu_hour(market, market.month)
    own = hosting.own_price(
        np.array([supply.technical_cost(market, size, market.month) / p["serving.self_host.utilisation"]]),
        hosting.cluster_cost(np.array([size]), hour, p["serving.self_host.sharing"]),
        np.array([volume]),
    )
    series = {
        "gpu_hour_price": hour,
        "self_host_cost": float(own[0]),
    }
    for name in ("OpenAI", "Anthropic"):
        made = state.lab == market.labs.names.index(name)
        earned, cost = books.spend[made, LAB_API].sum(), books.cost[made, LAB_API].sum()
        series[f"gross_margin:{name}"] = 1.0 - ratio(cost, earned)
    deepseek = market.lines.current[market.lines.names.index("DeepSeek/chat")]
    if deepseek != NONE:
        series["marginal_cost:DeepSeek"] = supply.technical_cost(
            market, float(state.active_params[deepseek]), market.month
        )
    return series


def _compute_series(market: Market) -> dict[str, float]:
    compute = market.compute
    return {
        "world_accelerator_stock": (compute.abroad_total + compute.legal_total) / 1e6,
        "legal_accelerators_added:CN": compute.added_legal / 1e3,
        "smuggled_accelerators:CN": compute.added_diverted / 1e3,
        "domestic_accelerators:CN": compute.added_domestic_units / 1e3,
    }


def _demand_series(market: Market) -> dict[str, float]:
    """Return the elasticity between hosts of the same weights, the mean over hosted tokens (eq. 92)."""
    table, hosts = market.releases, market.hosts
    tokens = market.accounts.tokens[:, HOST]
    of_line = market.lines.hosts[table.line]
    elasticity = host_elasticity(1.0 + host_markup(hosts.transport, of_line), hosts.transport, of_line)
    return {"price_elasticity:host choice within a model": ratio((tokens * elasticity).sum(), tokens.sum())}


def _revenue_series(market: Market) -> dict[str, float]:
    books, state = market.accounts, market.releases
    return {
        f"annualised_revenue:{name}": float(books.spend[state.lab == market.labs.names.index(name), LAB_API].sum())
        * 12.0
        / 1e9
        for name in ("OpenAI", "Anthropic")
    }
