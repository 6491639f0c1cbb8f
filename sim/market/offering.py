"""What is on offer this month and what it costs: serving costs, prices by channel and class, the table of offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.market import governments, supply
from sim.market.settled import settled
from sim.market.stages import hosting, pricing, releases, serving
from sim.market.stages.accounts import totals
from sim.market.tables import HOST, LAB_API, NONE, ON_DEVICE, SELF_HOST, Bools, Floats, Ints, OfferTable
from sim.months import years_since
from sim.scenario.schema import CHANNELS, CLASSES

if TYPE_CHECKING:
    from sim.market.market import Market


@dataclass(frozen=True)
class Costs:
    """This month's costs of each release, and what hosts ask for it; shapes (releases,) unless said.

    `marginal` is what a seller spends on a million tokens [USD/Mtok at the list blend], `hours` the accelerator-hours
    of serving them [hours/Mtok], `own` what own machines cost at their highest utilisation [USD/Mtok], `cluster` a
    workload's part of the smallest cluster [USD/month]. Own machines run open weights only: NaN elsewhere. So do hosts:
    `host` is their list blend, `hosted` what a class pays, less what governments do, (classes, releases) [USD/Mtok].
    """

    marginal: Floats
    hours: Floats
    own: Floats
    cluster: Floats
    host: Floats
    hosted: Floats


@dataclass(frozen=True)
class Prices:
    """Prices of every release this month [USD/Mtok].

    `by_class` has shape (channels, classes, releases); own machines stand at their highest utilisation, devices at
    zero. `cluster` is a workload's part of the smallest own cluster [USD/month], shape (channels, releases), zero but
    for own machines. `api_list` and `host_list` are list blends, shape (releases,). `mix` is what a class pays, and
    costs, over the list blend, shape (classes, releases).
    """

    by_class: Floats
    mix: Floats
    cluster: Floats
    api_list: Floats
    host_list: Floats


def serving_costs(market: Market) -> Costs:
    """Return the serving cost of every release (eq. 39): that of its release month moved along the cost index.

    Hosts ask that plus the markup of their number (eq. 40). Nobody runs open weights on own machines for less than
    hosts do (eq. 42). All serving cost counts as accelerator-hours (eq. 43).
    """
    table = market.releases
    ratio = supply.cost_index(market, market.month) / table.index_at_release
    p, hour = market.parameters, supply.gpu_hour(market, market.month)
    marginal = table.cost_at_release * ratio
    restricted = table.degree == releases.DEGREES["restricted_weights"]
    over_cost = market.hosts.price_over_cost(market.lines.hosts[table.line], restricted)
    host = np.where(table.is_open, marginal * over_cost, np.nan)
    return Costs(
        marginal=marginal,
        hours=marginal / hour,
        own=np.maximum(marginal, table.full_load_cost * ratio / p["serving.self_host.utilisation"]),
        cluster=hosting.cluster_cost(table.total_params, hour, p["serving.self_host.sharing"]),
        host=host,
        hosted=class_mix(market) * host * unsubsidised(market),
    )


def prices(market: Market, costs: Costs) -> Prices:
    """Return the prices of every release by channel and class.

    Labs post their list price (less the adoption value after the history); hosts sell at what they ask, which is the
    list price in the month of an open release; own machines pay the accelerators.
    """
    table = market.releases
    discount = governments.discounts(market.policy, market.month, market.labs)
    left = unsubsidised(market)
    api = table.posted * (1.0 - discount[table.lab])
    mix = class_mix(market)
    by_class = np.zeros((len(CHANNELS), len(CLASSES), len(table.names)))
    np.multiply(mix, api, out=by_class[LAB_API])
    by_class[HOST] = costs.hosted
    by_class[SELF_HOST] = costs.own * left
    cluster = np.zeros((len(CHANNELS), len(table.names)))
    cluster[SELF_HOST] = costs.cluster * left
    return Prices(by_class=by_class, mix=mix, cluster=cluster, api_list=api, host_list=costs.host)


@settled
def unsubsidised(market: Market) -> Floats:
    """Return the part of the price of hosting or running each release that its users pay, (releases,)."""
    table = market.releases
    return 1.0 - governments.subsidies(market.policy, market.labs.bloc[table.lab], table.is_open)


@settled
def class_mix(market: Market) -> Floats:
    """Return what a class pays, and costs, over the list blend, shape (classes, releases) (eq. 72)."""
    p, table = market.parameters, market.releases
    output_ratio = table.output_price / np.where(table.input_price > 0, table.input_price, 1.0)
    input_share = np.array([p[f"demand.input_share.{c}"] for c in CLASSES])
    factor = np.array([p[f"demand.price_factor.{c}"] for c in CLASSES])
    split = hosting.split_price(np.ones(len(table.names)), output_ratio)
    return pricing.class_price(*split, input_share, factor)


def hosts_month(market: Market, costs: Costs) -> Ints:
    """Return how many hosts will serve each line's open weights next month, shape (lines,) (eq. 41)."""
    cost = costs.marginal * market.accounts.tokens[:, HOST]
    by_line = totals(market.releases.line, cost, len(market.lines.lab))
    return market.hosts.entering(by_line, years_since(market.month, supply.REFERENCE))


@settled
def perceived(market: Market) -> Floats:
    """Return what buyers take each release to be worth this month [ECI points], shape (releases,) (eq. 36)."""
    table, experience = market.releases, market.parameters["demand.experience_months"]
    return releases.perceived(table.capability, table.inflation, market.month - table.month, experience)


@settled
def latency(market: Market) -> Floats:
    """Return the disutility of the load on each lab's API [utils], shape (labs,) (eq. 47)."""
    return serving.latency(market.labs.load, market.parameters["demand.latency_cost"])


@settled
def open_for_business(market: Market) -> Bools:
    """Return which labs run an API: all while the history is replayed, then those that are active, shape (labs,)."""
    return market.labs.active | market.replaying


@settled
def served(market: Market) -> Bools:
    """Return which releases still run on their lab's API, shape (releases,) (eq. 30)."""
    table = market.releases
    runs = releases.still_served(table.superseded, market.month, market.parameters["capability.deprecation"])
    return runs & open_for_business(market)[table.lab]


@settled
def newest(market: Market) -> Bools:
    """Return which releases are their line's newest on which channel, and on offer there, (releases, channels)."""
    table, lines = market.releases, market.lines
    on = np.zeros((len(table.names), len(CHANNELS)), bool)
    current = lines.current[lines.current != NONE]
    on[current, LAB_API] = table.has_api[current] & open_for_business(market)[table.lab[current]]
    weights = lines.current_open[lines.current_open != NONE]
    on[weights, HOST:ON_DEVICE] = True
    small = np.full(len(lines.lab), NONE)
    fits = np.flatnonzero(table.is_open & table.on_device)
    small[table.line[fits]] = fits  # releases ascend: the last one stays
    on[small[small != NONE], ON_DEVICE] = True
    return on


@settled
def offered(market: Market) -> Bools:
    """Return which releases are on offer on which channel, shape (releases, channels)."""
    on, older = newest(market).copy(), market.lines.older
    on[older[older != NONE], HOST:ON_DEVICE] = True
    return on


def offers(market: Market, priced: Prices) -> OfferTable:
    """Return the table of offers: the newest version of every option, then the older ones."""
    unpriced = unpriced_offers(market)
    release, channel = unpriced["release"], unpriced["channel"]
    return OfferTable(
        price=priced.by_class[channel, :, release].T, cluster=priced.cluster[channel, release], **unpriced
    )


@settled
def unpriced_offers(market: Market) -> dict[str, NDArray[Any]]:
    """Return the columns of the table of offers, but for the prices."""
    table = market.releases
    release, channel = np.nonzero(offered(market))
    latest = np.full((len(market.lines.lab), len(CHANNELS)), NONE)
    latest[table.line[release], channel] = release  # releases ascend: the last one stays
    older = release < latest[table.line[release], channel]
    order = np.lexsort((table.line[release], older))  # inside them by release and channel, as they are
    release, channel = release[order], channel[order]
    line, options = table.line[release], np.count_nonzero(~older)
    number = np.empty_like(latest)
    number[line[:options], channel[:options]] = np.arange(options)
    return {
        "option": number[line, channel],
        "line": line,
        "lab": table.lab[release],
        "release": release,
        "channel": channel,
        "capability": perceived(market)[release],
        "degree": table.degree[release],
        "is_open": table.is_open[release],
        "first_of_line": np.flatnonzero(line[:options] != np.concatenate(([NONE], line[: options - 1]))),
    }


def list_prices(offer_release: Ints, offer_channel: Ints, costs: Costs, priced: Prices) -> Floats:
    """Return the list price of each offer [USD/Mtok]: of the lab, of hosts, or own cost at the highest utilisation."""
    by_channel = np.array([priced.api_list, priced.host_list, costs.own, np.zeros(len(costs.own))])
    return by_channel[offer_channel, offer_release]
