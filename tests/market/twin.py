"""A month of the whole market written a second time, in plain Python: records, loops and `math`.

Written from the equations of docs/model.md. It shares with the product the drawn settings, the tables of state before
the month, the evidence that is replayed and the random numbers of `sim.rng`, and no other code. The equilibrium of
prices alone is not solved here: what the product found is held against the profits of this market
(`slopes_of_profit`); what is then posted is computed. Stages 1 to 4 stand in `twin_supply.py`, 8 in `twin_choice.py`
and `twin_nodes.py`, 5, 7 and 9 to 11 in `twin_demand.py`.
"""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace as Row
from typing import Any

from .twin_demand import Demand
from .twin_supply import API, CHINA, DEVICE, FAR, HOST, NONE, OWN, US


class Twin(Demand):
    """The timetable, prices (stage 6), what is seen (12), and the hand-over from replay to rules."""

    def run(self, wanted: list[float]) -> None:
        """Simulate the month; `wanted` are the prices by release that the product found no lab would change."""
        self.act()  # 1
        self.accelerators()  # 2
        self.learn()  # 3
        self.release()  # 4
        self.costs()  # 5
        self.set_prices(wanted)  # 6
        self.spread()  # 7
        self.choose()  # 8
        self.serve()  # 9
        self.follow_use()  # 10
        self.book()  # 11
        if self.month == self.until:
            self.hand_over(wanted)

    # 6. prices

    def set_prices(self, wanted: list[float]) -> None:
        if self.replaying:
            for r in self.releases:
                r.wanted = r.posted
            return
        p, left = self.p, 0.5 ** (self.years(self.until) * 12 / self.p["pricing.wedge_half_life"])
        self.look_around()
        self.panel = self.price_panel()
        hosted = [(r.perceived, r.host_list) for r, channel in self.offers if channel == HOST]
        self.free = [
            r
            for r, channel in self.offers
            if channel == API and self.labs[r.lab].price_rule == "bertrand" and not self.discount(r.lab)
        ]
        for i, r in enumerate(self.releases):
            lab, target = self.labs[r.lab], r.posted
            if any(r is one for one in self.free):
                r.wanted = wanted[i]
                target = r.wanted * math.exp(r.wedge * left)
            elif lab.price_rule == "cost_plus":
                target = max(0.0, r.cost * r.price_over_cost - lab.adoption_value)
            elif lab.price_rule == "penetration":
                target = max(0.0, r.cost - lab.adoption_value)
            elif lab.price_rule == "match_open" and any(r is one for one, channel in self.offers if channel == API):
                nearly = (ask for able, ask in hosted if able >= r.perceived - p["pricing.match_points"])
                target = min(r.posted, max(r.cost, min(nearly, default=math.inf)))
            part = 1.0 if r.month == self.month else p["pricing.adjustment"]
            r.posted += part * (target - r.posted)

    def price_panel(self, valued: bool = True) -> list[Row]:
        """Return what every taste node would make of every offer, by line: all but the bill of list prices."""
        lam, found = self.p["demand.nest_dissimilarity"], []
        for node in self.nodes:
            if node.present == 0.0:
                continue
            lines: dict[int, list[Row]] = {}
            usable, channels = self.versions(
                [
                    (r, channel, u - self.moving(node, r, channel))
                    for r, channel, u in self.with_own(node, self.looked_at(node, self.menu(node), at_home=False))
                ]
            )
            for r, channel, _ in usable:
                fixed = self.liking(node, r, channel) - self.moving(node, r, channel)
                fixed -= lam * math.log(channels[r.line])
                charged = (1 - self.discount(r.lab)) * r.mix[node.kind] if channel == API else 0.0
                base = 0.0 if channel == API else self.price(r, channel, node.kind, node.need_now)
                value = self.labs[r.lab].adoption_value if valued else 0.0
                member = Row(
                    r=r,
                    fixed=fixed,
                    charged=charged,
                    base=base,
                    cost=r.mix[node.kind] * r.cost * (channel == API),
                    value=value,
                )
                lines.setdefault(r.line, []).append(member)
            rest, weight = [self.keeping(node), self.without(node)], node.weight * node.present
            found.append(
                Row(user=node, need=node.need_now, pain=node.pain_now, weight=weight, lines=lines, rest=rest, lam=lam)
            )
        return found

    @staticmethod
    def line_sums(row: Row, line: int, price: dict[int, float]) -> tuple[float, float, dict[int, float]]:
        """Return exp(lambda I) of a line, that times what its lab earns there, and that times tokens at list price."""
        odds, earned, tokens = [], [], []
        for one in row.lines[line]:
            paid = one.charged * price.get(id(one.r), 0.0) + one.base
            bill = math.log(1 + paid * row.need / row.pain)
            odds.append(math.exp((one.fixed - row.user.price_sensitivity * bill - row.top) / row.lam))
            x = row.need / (1 + paid * row.need / row.pain)
            earned.append(x * (one.charged * price.get(id(one.r), 0.0) - one.cost + one.value))
            tokens.append((id(one.r), one.charged * x))
        total = math.fsum(odds)
        if total == 0:
            return 0.0, 0.0, {}
        scale = total ** (row.lam - 1)
        sold = {r: 0.0 for r, _ in tokens}
        for odd, (r, t) in zip(odds, tokens, strict=True):
            sold[r] += odd * scale * t
        return total**row.lam, math.fsum(o * e for o, e in zip(odds, earned, strict=True)) * scale, sold

    def weigh(self, price: dict[int, float]) -> None:
        """Note at every row of the panel what its options weigh and earn at list prices, by identity of the release."""
        for row in self.panel:
            row.top = max([*(one.fixed for line in row.lines.values() for one in line), *row.rest])
            row.sums = {line: self.line_sums(row, line, price) for line in row.lines}
            weights = [odds for odds, _, _ in row.sums.values()]
            row.total = math.fsum([*weights, *(math.exp(u - row.top) for u in row.rest)])

    def slopes_of_profit(self, price: dict[int, float], free: list[Row]) -> list[float]:
        """Return d profit / d own list price over the tokens sold at it, for each free release, by central differences.

        `price` holds the list prices by identity of the release, at which the slopes are taken.
        """
        self.weigh(price)
        lines_of = {i: [n for n, line in enumerate(self.lines) if line.lab == i] for i in range(len(self.labs))}
        found = []
        for r in free:
            here, step = price[id(r)], 1e-4 * max(price[id(r)], 1e-3)
            buyers = [row for row in self.panel if r.line in row.lines]
            sold = math.fsum(row.weight * row.sums[r.line][2].get(id(r), 0.0) / row.total for row in buyers)
            profit = []
            for at in (here + step, here - step):
                moved, parts = price | {id(r): at}, []
                for row in buyers:
                    odds, earned, _ = self.line_sums(row, r.line, moved)
                    earned += math.fsum(row.sums[n][1] for n in lines_of[r.lab] if n != r.line and n in row.sums)
                    parts.append(row.weight * earned / (row.total - row.sums[r.line][0] + odds))
                profit.append(math.fsum(parts))
            found.append((profit[0] - profit[1]) / (2 * step) / sold if sold > 0 else 0.0)
        return found

    def profit_if(self, n: int, capability: float, *, is_open: bool) -> float:
        """Return what a lab would earn in a month at posted prices with a release that is open, or closed."""
        trial = copy.deepcopy(self)
        line = trial.lines[n]
        trial.put_on_offer(
            trial.successor(trial.labs[line.lab], trial.releases[line.current], capability, is_open, FAR)
        )
        trial.costs()
        trial.look_around()
        trial.panel = trial.price_panel()
        trial.weigh({id(r): r.posted for r in trial.releases})
        own = [k for k, other in enumerate(trial.lines) if other.lab == line.lab]
        return math.fsum(
            row.weight
            * math.fsum([trial.kept(row, line.lab), *(row.sums[k][1] for k in own if k in row.sums)])
            / row.total
            for row in trial.panel
        )

    def kept(self, row: Row, lab: int) -> float:
        """Return the weight of keeping a superseded release of a lab times what that earns the lab."""
        user = row.user
        if row.rest[0] == -math.inf or self.releases[user.release].lab != lab:
            return 0.0
        r = self.releases[user.release]
        paid = self.price(r, user.channel, user.kind, user.need_now)
        margin = self.labs[lab].adoption_value + (paid - r.mix[user.kind] * r.cost) * (user.channel == API)
        return math.exp(row.rest[0] - row.top) * row.need / (1 + paid * row.need / row.pain) * margin

    # 12. observation

    def seen(self) -> dict[str, float]:
        """Return the outcomes of the month that are plain sums over the books."""
        books = self.books

        def total(name: str, channels: Any = range(4), only: Any = lambda r: True) -> float:
            chosen = (row for r, row in zip(self.releases, books[name], strict=True) if only(r))
            return math.fsum(row[channel] for row in chosen for channel in channels)

        def is_open(r: Row) -> bool:
            return r.is_open

        def closed(r: Row) -> bool:
            return not r.is_open

        def chinese(r: Row) -> bool:
            return r.is_open and self.labs[r.lab].bloc == CHINA

        by_lab = [total("tokens", only=lambda r, i=i: r.lab == i) / total("tokens") for i in range(len(self.labs))]
        return {
            "open_workload_share": total("workloads", only=is_open) / total("workloads"),
            "open_token_share": total("tokens", only=is_open) / total("tokens"),
            "open_spend_share": total("spend", only=is_open) / total("spend"),
            "chinese_open_token_share": total("tokens", only=chinese) / total("tokens"),
            "self_host_token_share": total("tokens", (OWN, DEVICE)) / total("tokens"),
            "closed_price": total("spend", only=closed) / total("tokens", only=closed),
            "open_price": total("spend", only=is_open) / total("tokens", only=is_open),
            "closed_margin": 1 - total("cost", (API,), closed) / total("spend", (API,), closed),
            "hhi_tokens": math.fsum(share**2 for share in by_lab),
            "unmet_tokens": self.unmet,
            "total_tokens": total("tokens"),
            "total_spend": total("spend"),
            "spend_labs": total("spend", (API,)),
            "spend_hosts": total("spend", (HOST,)),
            "spend_self_host": total("spend", (OWN, DEVICE)),
            "consumer_surplus": self.surplus,
            "compute_us": self.of_bloc(self.stock, US),
            "compute_cn": self.of_bloc(self.stock, CHINA),
        }

    # the end of the history

    def hand_over(self, wanted: list[float]) -> None:
        p, until = self.p, self.until
        level = [self.best(i) for i in range(len(self.labs))]
        front = max((i for i, able in enumerate(level) if able == able), key=lambda i: level[i])
        window = int(p["capability.trend_months"])
        past = self.research_log[-(window + 1) :]
        coming = self.data_seen(until + 1, [t[API] for t in self.books["tokens"]])
        usual = [math.fsum(n) / window for n in zip(*(self.novelty(until - b) for b in range(window)), strict=True)]
        gifts, received = self.gifts(usual), []
        for i, lab in enumerate(self.labs):
            trend = math.log10(past[-1][i] / past[0][i]) / max(1, len(past) - 1)
            more = self.data_gain((1 - p["capability.data_decay"]) * lab.data + coming[i], lab.data)
            received.append(p["capability.compute_effect"] * trend + more + gifts[i])
        own = self.own_work(front, received[front])
        loss = [max(0.0, own[front] + received[front] - a - b) for a, b in zip(own, received, strict=True)]
        closed, opened = p["capability.catch_up_closed"], p["capability.catch_up_open"]
        alone = [-lost / closed for lost in loss]
        carried = self.open_level(alone)
        knowledge = [
            a if a >= carried else (opened * carried - lost) / (opened + closed)
            for a, lost in zip(alone, loss, strict=True)
        ]
        self.handover = Row(
            level=level,
            research_compute=[lab.research_compute for lab in self.labs],
            data=[lab.data for lab in self.labs],
            knowledge=knowledge,
            front=front,
            received=received[front],
            revenue=self.averaged_revenue(self.revenue, math.fsum(s[API] for s in self.books["spend"])),
            added_abroad=self.seen_abroad(until) - self.seen_abroad(until - 12),
        )
        for lab, known in zip(self.labs, knowledge, strict=True):
            lab.knowledge = known
        for n, line in enumerate(self.lines):
            line.offset, line.next_month, elapsed = 0.0, math.inf, until - line.last_month
            if line.current != NONE and self.labs[line.lab].active and elapsed <= p["capability.dormant_months"]:
                line.offset = self.releases[line.current].capability - level[line.lab]
                line.next_month = line.last_month + self.interval(n, elapsed)
        self.costs()
        self.look_around()
        self.panel = self.price_panel(valued=False)
        self.free = [r for r, channel in self.offers if channel == API]
        for i, r in enumerate(self.releases):
            sold = any(r is one for one in self.free)
            r.wanted = wanted[i] if sold else r.posted
            r.wedge = math.log(r.posted / r.wanted) if sold and r.wanted > 0 else 0.0
            r.price_over_cost = r.posted / r.cost
