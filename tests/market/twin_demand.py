"""The demand side of the plain month of `twin.py` but for the choices: offers, awareness, usage, books."""

from __future__ import annotations

import math
from types import SimpleNamespace as Row
from typing import Any

from sim import rng

from .twin_nodes import Nodes
from .twin_supply import API, CLASSES, DEVICE, FAMILIES, HOST, NONE, OWN, date


class Demand(Nodes):
    """Stages 5, 7 and 9 to 11."""

    # 5. serving cost and hosts

    def costs(self) -> None:
        """Note this month's costs, host prices and mixes of classes at every release."""
        p, hour, now = self.p, self.hour(self.month), self.cost_index(self.month)
        for number, r in enumerate(self.releases):
            r.number = number
            moved = now / self.cost_index(r.month)
            r.cost = r.cost_at_release * moved
            r.hours = r.cost / hour
            r.own = r.cluster = r.host_list = math.nan
            if r.is_open:
                r.own = max(r.cost, r.full_load_cost * moved / p["serving.self_host.utilisation"])
                r.cluster = math.ceil(r.total_params * 1.2 / 80) * hour * 730 / p["serving.self_host.sharing"]
                r.host_list = r.cost * self.over_cost(self.lines[r.line], r.degree)
            blend = (3 * r.input_price + r.output_price) / 4
            r.mix = []
            for name in CLASSES:
                a = p[f"demand.input_share.{name}"]
                r.mix.append(p[f"demand.price_factor.{name}"] * (a * r.input_price + (1 - a) * r.output_price) / blend)
            age = self.month - r.month
            r.perceived = r.capability - r.inflation * (1 - math.exp(-age / p["demand.experience_months"]))
        held = p["demand.pain_exponent"] * p["demand.pain_growth"]
        late = max(self.month, self.until)
        for w in (*self.users, *self.nodes):
            w.need_now = w.need * self.grown(w, self.month)
            w.pain_now = w.pain * (self.grown(w, late) / self.grown(w, self.until)) ** held
        self.keep_on_sale()
        self.offers = [
            (r, channel)
            for n, line in enumerate(self.lines)
            for r in self.releases
            if r.line == n
            for channel in range(4)
            if self.on_offer(r, channel)
        ]

    def keep_on_sale(self) -> None:
        """Choose two older weights of each line, the ones that nodes would miss most at hosts."""
        self.rise = self.best() - self.reference()
        some = [(node, self.arrived(node)) for node in self.nodes]
        some = [(node, part) for node, part in some if part > 0][::4]
        for n, line in enumerate(self.lines):
            january = self.month % 12 == 0 or self.month == self.start
            if line.current_open == NONE or not (january or line.published == self.month):
                continue
            newest = self.releases[line.current_open]
            rest = [r for r in self.releases if r.line == n and r.is_open and r is not newest]
            best, line.older = self.at_hosts(newest, some), []
            for _ in range(2):
                more, gain = NONE, 0.0
                for r in rest:
                    gains = [max(0.0, u - v) for u, v in zip(self.at_hosts(r, some), best, strict=True)]
                    total = math.fsum(
                        g * node.weight * part * node.pain_now / node.price_sensitivity
                        for g, (node, part) in zip(gains, some, strict=True)
                    )
                    if total > gain:
                        more, gain = r.number, total
                line.older.append(more)
                if more != NONE:
                    best = [max(u, v) for u, v in zip(self.at_hosts(self.releases[more], some), best, strict=True)]
            line.older.sort()

    def at_hosts(self, r: Row, some: list[tuple[Row, float]]) -> list[float]:
        """Return what nodes make of a release at hosts: success less the bill."""
        prices = ((node, self.price(r, HOST, node.kind, node.need_now)) for node, _ in some)
        return [node.value * self.success(node, r) - self.bill(node, price) for node, price in prices]

    def on_offer(self, r: Row, channel: int) -> bool:
        return self.is_newest(r, channel) or (channel in (HOST, OWN) and r.number in self.lines[r.line].older)

    def is_newest(self, r: Row, channel: int) -> bool:
        line = self.lines[r.line]
        if channel == API:
            return line.current != NONE and r is self.releases[line.current] and r.has_api and self.sells(r.lab)
        if channel == DEVICE:
            small = [one for one in self.releases if one.line == r.line and one.is_open and one.on_device]
            return bool(small) and r is small[-1]
        return r.number == line.current_open

    def sells(self, lab: int) -> bool:
        return self.labs[lab].active or self.replaying

    def discount(self, lab: int) -> float:
        running = (s for s in self.policy.promotions if s.lab == lab and s.month <= self.month < s.month + s.months)
        return max((s.discount for s in running), default=0.0)

    def price(self, r: Row, channel: int, kind: int, need: float) -> float:
        """Return what a class pays for a release on a channel [USD/Mtok]."""
        if channel == DEVICE:
            return 0.0
        if channel == API:
            return r.mix[kind] * r.posted * (1 - self.discount(r.lab))
        paid = 1 - self.policy.subsidy[self.labs[r.lab].bloc]
        return paid * (r.mix[kind] * r.host_list if channel == HOST else max(r.own, r.cluster / need))

    # 7. awareness and affinity

    def spread(self) -> None:
        p, shares = self.p, self.shares(lambda w: w.group * 4 + w.bloc)
        family = self.shares(lambda w: int(w.group >= 2))
        appeared = {r.lab for r in self.releases}
        for i, lab in enumerate(self.labs):
            for segment, known in enumerate(self.awareness):
                if i in appeared:
                    a = max(known[i], lab.initial_awareness)
                    share = shares.get(segment, {}).get(i, 0.0)
                    hazard = p["awareness.innovation"] + p["awareness.imitation"] * share
                    known[i] = a + (1 - a) * (1 - math.exp(-hazard))
            news = 1 - math.exp(-self.leap[i] / p["awareness.buzz_points"])
            self.buzz[i] = max(p["awareness.buzz_decay"] * self.buzz[i], news)
        rho = 0.0 if self.month == self.start else 0.5 ** (1 / p["demand.affinity_half_life"])
        for f, name in enumerate(FAMILIES):
            drifted = []
            for old, lab in zip(self.affinity[f], self.labs, strict=True):
                z = float(rng.normal(rng.stream_key(self.seed, f"affinity:{name}:{lab.names}"), self.month))
                drifted.append(rho * old + p["demand.affinity_sd"] * math.sqrt(1 - rho * rho) * z)
            share = family.get(f) or {i: 1 / len(appeared) for i in appeared}
            mean = math.fsum(drifted[i] * part for i, part in share.items())
            self.affinity[f] = [a - mean for a in drifted]

    def shares(self, part: Any) -> dict[int, dict[int, float]]:
        """Return each lab's share of the workloads in use of each part of the market."""
        count: dict[int, dict[int, float]] = {}
        for w, weight, r, _ in self.uses():
            own = count.setdefault(part(w), {})
            own[r.lab] = own.get(r.lab, 0.0) + weight
        return {k: {lab: n / math.fsum(own.values()) for lab, n in own.items()} for k, own in count.items()}

    # 9. usage

    def serve(self) -> None:
        p = self.p
        self.flows, needed = [], [0.0] * len(self.labs)
        for w, weight, r, channel in self.uses():
            price = self.price(r, channel, w.kind, w.need_now)
            tokens = w.need_now / (1 + price * w.need_now / w.pain_now)
            self.flows.append(
                Row(w=w, weight=weight, r=r, channel=channel, price=price, tokens=tokens, spilled=0.0, spill_price=0.0)
            )
            if channel == API:
                needed[r.lab] += tokens * weight * r.hours * r.mix[w.kind] / 730
        served = []
        for lab, need in zip(self.labs, needed, strict=True):
            stock = lab.compute_share * self.of_bloc(self.serving, lab.bloc) * (1 - p["compute.research_share"])
            stock = max(stock, 1e-3)
            capacity = max(p["serving.api_share"] * stock, need) if self.replaying else lab.api_share * stock
            lab.serving_load, lab.api_share = need, capacity / stock
            lab.load += (need / capacity - lab.load) / p["serving.load_months"]
            served.append(min(1.0, capacity / need) if need > 0 else 1.0)
        self.unmet = 0.0
        for one in self.flows:
            if one.channel == API:
                missing = one.tokens * (1 - served[one.r.lab])
                if one.r.is_open:
                    one.spilled, one.spill_price = missing, self.price(one.r, HOST, one.w.kind, math.nan)
                else:
                    one.tokens -= missing
                    self.unmet += missing * one.weight

    # 10. ecosystem and downloads

    def follow_use(self) -> None:
        p = self.p
        developers = [(weight, r) for w, weight, r, _ in self.uses() if w.group < 2]
        everybody = math.fsum(n for n, _ in developers)
        for i, line in enumerate(self.lines):
            mine = math.fsum(n for n, r in developers if r.line == i and r.is_open)
            share = 100 * mine / everybody if everybody else 0.0
            self.ecosystem[i] = (1 - p["ecosystem.decay"]) * self.ecosystem[i] + share
            if line.current_open != NONE:
                size = (self.releases[line.current_open].total_params / 10) ** -p["observation.downloads_size_exponent"]
                self.downloads[i] += p["observation.downloads_per_evaluation"] * self.evaluations[i] * size

    # 11. accounts

    def book(self) -> None:
        """Add up the books by release and channel, and let hosts enter for the next month."""
        names = ("workloads", "tokens", "spend", "cost")
        self.books = {name: [[0.0] * 4 for _ in self.releases] for name in names}
        for one in self.flows:
            r, weight = one.r, one.weight
            self.books["workloads"][r.number][one.channel] += weight
            parts = [(one.channel, one.tokens - one.spilled, one.price), (HOST, one.spilled, one.spill_price)]
            for channel, tokens, price in parts:
                unit = price if channel >= OWN else r.cost * r.mix[one.w.kind]
                self.books["tokens"][r.number][channel] += tokens * weight
                self.books["spend"][r.number][channel] += tokens * weight * price
                self.books["cost"][r.number][channel] += tokens * weight * unit
        self.surplus = math.fsum(w.surplus * w.weight for w in self.users or self.nodes if w.present)
        p = self.p
        fixed = p["serving.host.fixed_cost"] * p["serving.host.fixed_cost_growth"] ** self.years(date(2025, 2))
        for n, line in enumerate(self.lines):
            books = zip(self.releases, self.books["tokens"], strict=True)
            cost = math.fsum(t[HOST] * r.cost for r, t in books if r.line == n)
            line.hosts = max(2, math.floor(math.sqrt(p["serving.host.transport"] * cost / fixed)))
