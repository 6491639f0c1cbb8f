"""The demand side of the plain month of `twin.py`: offers, awareness, choice, usage, books."""

from __future__ import annotations

import math
from itertools import accumulate
from types import SimpleNamespace as Row
from typing import Any

from sim import evidence, rng

from .twin_supply import API, BLOCS, CHINA, CLASSES, DEVICE, HOST, NONE, OWN, US, Supply, date

FAMILIES = ("developer", "enterprise")
GROUPS = {"developers": (0, 1), "enterprises": (2, 3, 4), "all": (0, 1, 2, 3, 4)}
GROUPS |= {name: (g,) for g, name in enumerate(("indie", "startup", "ordinary", "regulated", "public"))}
CHANNELS = ("lab_api", "host", "own", "own")  # in the names of parameters
REACH = (1, 2, 3, 3)  # of a ban from which a channel is closed


class Demand(Supply):
    """Stages 5 and 7 to 11."""

    # 5. serving cost and hosts

    def costs(self) -> None:
        """Note this month's costs, host prices and mixes of classes at every release."""
        p, hour, now = self.p, self.hour(self.month), self.cost_index(self.month)
        for r in self.releases:
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
        self.offers = [
            (r, channel)
            for n, line in enumerate(self.lines)
            for r in self.releases
            if r.line == n
            for channel in range(4)
            if self.on_offer(r, channel)
        ]
        self.needs = [w.need * self.grown(w, self.month) for w in self.users]
        held = p["demand.pain_exponent"] * p["demand.pain_growth"]
        late = max(self.month, self.until)
        self.pains = [w.pain * (self.grown(w, late) / self.grown(w, self.until)) ** held for w in self.users]

    def on_offer(self, r: Row, channel: int) -> bool:
        line = self.lines[r.line]
        if channel == API:
            return line.current != NONE and r is self.releases[line.current] and r.has_api and self.sells(r.lab)
        newest = line.current_open != NONE and r is self.releases[line.current_open]
        return newest and (channel != DEVICE or r.on_device)

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
        for w in self.users:
            if w.release != NONE:
                own, lab = count.setdefault(part(w), {}), self.releases[w.release].lab
                own[lab] = own.get(lab, 0.0) + w.weight
        return {k: {lab: n / math.fsum(own.values()) for lab, n in own.items()} for k, own in count.items()}

    # 8. choice

    def grown(self, w: Row, month: int) -> float:
        """Return a workload's need over that of January 2025."""
        now, until = self.years(date(2025, 1), month), self.years(date(2025, 1), self.until)
        late, fade = max(0.0, now - until), self.p["demand.volume_growth_fade"]
        grown = min(now, until) + (late if fade == 0 else (1 - math.exp(-fade * late)) / fade)
        return self.p[f"demand.volume_growth.{CLASSES[w.kind]}"] ** grown

    def own(self, w: Row, name: str) -> float:
        return self.p[f"demand.{FAMILIES[w.group >= 2]}.{name}"]

    def look_around(self) -> None:
        """Note what all see this month: use by others and in the organisation, the frontier, lost trust, bans."""
        abroad = [(w.weight, self.releases[w.release]) for w in self.users if w.release != NONE and w.bloc != CHINA]
        chinese = math.fsum(n for n, r in abroad if self.labs[r.lab].bloc == CHINA)
        self.chinese_share = chinese / math.fsum(n for n, _ in abroad) if abroad else 0.0
        self.used = {(w.organisation, self.releases[w.release].lab) for w in self.users if w.release != NONE}
        reference = max(seen.capability for seen in evidence.releases(until=date(2025, 1)))
        self.rise = self.best() - reference
        self.lost = {"chinese": 0.0, "open": 0.0, "closed": 0.0}
        for s in self.policy.trust:
            self.lost[s.target] += s.size * 0.5 ** ((self.month - s.month) / s.half_life)
        self.reach: list[list[int]] = []
        for w in self.users:
            reach = [0, 0, 0, 0]
            for ban in self.policy.bans:
                origin = BLOCS.index(ban.origin)
                key = rng.stream_key(self.population_seed, f"ban event:{ban.origin}")
                bound = float(rng.uniform(key, w.organisation)) < ban.share
                there = w.bloc != origin if ban.adopters == "all" else BLOCS[w.bloc] == ban.adopters
                if bound and there and w.group in GROUPS[ban.group]:
                    reach[origin] = max(reach[origin], 1 + ("api", "hosted", "weights").index(ban.scope))
            if w.banned and 1970 + self.month / 12 >= self.p["demand.ban.start"]:
                reach[CHINA] = max(reach[CHINA], 1)
            self.reach.append(reach)

    def barred(self, w: int, r: Row, channel: int) -> bool:
        return self.reach[w][self.labs[r.lab].bloc] >= REACH[channel]

    def success(self, w: Row, r: Row) -> float:
        able = r.perceived + self.labs[r.lab].strength[w.kind]
        hard = w.difficulty + self.p[f"demand.ambition.{CLASSES[w.kind]}"] * self.rise
        return 1 / (1 + math.exp((hard - able) / self.p["demand.success_width"]))

    def liking(self, i: int, r: Row, channel: int) -> float:
        """Return the utility of a release on a channel but for its bill and the cost of moving."""
        w, p, lab, name = self.users[i], self.p, self.labs[r.lab], CHANNELS[channel]
        total = w.value * self.success(w, r) + w.control_value * r.degree * p[f"demand.control.{name}"]
        if lab.bloc == CHINA:
            relief = math.exp(-p["demand.distrust_relief"] * self.chinese_share)
            total -= (w.distrust * relief + self.lost["chinese"]) * p[f"demand.exposure.{name}"]
            total += p["demand.language_fit"] * (w.bloc == CHINA)
        total += lab.brand + self.affinity[w.group >= 2][r.lab] + w.taste_line[r.line] + w.taste_origin[lab.bloc]
        if r.is_open:
            more = p["demand.ecosystem_own"] if channel >= OWN else 1.0
            total += self.own(w, "ecosystem_weight") * more * math.log1p(self.ecosystem[r.line])
            total += w.taste_open + self.own(w, "open_constant")
        total -= self.lost["open" if r.is_open else "closed"]
        if channel == API:
            total -= p["demand.latency_cost"] * lab.load**4
        if channel == OWN:
            total -= w.price_sensitivity * math.log(1 + self.own(w, "staff_cost") / self.pains[i])
        return total

    def bill(self, i: int, price: float) -> float:
        return self.users[i].price_sensitivity * math.log(1 + price * self.needs[i] / self.pains[i])

    def worth(self, i: int, r: Row, channel: int) -> float:
        return self.liking(i, r, channel) - self.bill(i, self.price(r, channel, self.users[i].kind, self.needs[i]))

    def without(self, i: int) -> float:
        return -self.bill(i, self.own(self.users[i], "without_ai_cost"))

    def keeping(self, i: int) -> float:
        w = self.users[i]
        if w.release == NONE:
            return -math.inf
        r = self.releases[w.release]
        keeps = not self.on_offer(r, w.channel) and self.runs(r, w.channel) and not self.barred(i, r, w.channel)
        return self.worth(i, r, w.channel) if keeps else -math.inf

    def runs(self, r: Row, channel: int) -> bool:
        if channel != API:
            return r.is_open
        return self.month < r.superseded + self.p["capability.deprecation"] and self.sells(r.lab)

    def moving(self, i: int, r: Row, channel: int) -> float:
        w = self.users[i]
        if w.release == NONE:
            return self.own(w, "adoption_cost")
        now = self.releases[w.release]
        if now is r and w.channel == channel:
            return 0.0
        if now.lab == r.lab:
            return self.own(w, "upgrade_cost")
        known = (w.organisation, r.lab) in self.used
        return self.own(w, "switching_cost") * (1 - self.p["demand.multi_home_discount"] * known)

    def knows(self, w: Row, lab: int) -> bool:
        return w.attention[lab] < 1 - (1 - self.awareness[w.group * 4 + w.bloc][lab]) * (1 - self.buzz[lab])

    def usable(self, i: int, *, at_home: bool) -> list[tuple[Row, int]]:
        w, found = self.users[i], []
        vendor = NONE if w.release == NONE else self.releases[w.release].lab
        for r, channel in self.offers:
            looks = r.lab == vendor or (not at_home and self.knows(w, r.lab))
            abroad = channel == API and w.bloc == CHINA and self.labs[r.lab].bloc == US
            heavy = channel == DEVICE and self.needs[i] > self.p["serving.on_device_limit"]
            if looks and not abroad and not heavy and not self.barred(i, r, channel):
                found.append((r, channel))
        return found

    def luck(self, what: str, key: int) -> float:
        return float(rng.uniform(rng.stream_key(self.population_seed, what, self.month), key))

    def clocks(self, i: int) -> tuple[bool, bool]:
        """Return whether a workload looks again, and whether only at its vendor's offers."""
        w, p = self.users[i], self.p
        leap = min(1.0, max(self.leap) / p["demand.leap_points"])
        hazard = self.own(w, "review_hazard") * (1 + p["demand.review_bump"] * leap)
        reviews = self.luck("review", w.organisation) < hazard
        if w.release == NONE:
            return reviews or w.arrival == self.month, False
        r, upgrades = self.releases[w.release], False
        off, barred = not self.runs(r, w.channel), self.barred(i, r, w.channel)
        if not self.on_offer(r, w.channel):
            newest = self.lines[r.line].current
            fresh = newest != NONE and self.releases[newest].month == self.month
            step = self.releases[newest].capability - r.capability if fresh else 0.0
            usual, part = p["demand.upgrade_hazard"], min(1.0, max(0.0, step / p["demand.leap_points"]))
            hazard = usual + (p["demand.upgrade_hazard_leap"] - usual) * part
            upgrades = self.luck("upgrade", w.organisation) < hazard
        sells = any(one.lab == r.lab for one, _ in self.offers)
        at_home = (upgrades or off) and not reviews and not barred and sells
        return reviews or upgrades or off or barred, at_home

    def choose(self) -> None:
        self.look_around()
        self.looked: dict[int, bool] = {}
        self.evaluations = [0.0] * len(self.lines)
        chosen = {}
        for i, w in enumerate(self.users):
            w.present = w.arrival <= self.month
            looks, at_home = self.clocks(i) if w.present else (False, False)
            if looks:
                self.looked[i] = at_home
                chosen[i] = self.option(i, at_home)
                for n, line in enumerate(self.lines):
                    if w.group < 2 and line.current_open != NONE and self.knows(w, line.lab):
                        self.evaluations[n] += w.weight
        for i, (release, channel, surplus) in chosen.items():
            w = self.users[i]
            w.release, w.channel, w.surplus = release, channel, surplus

    def option(self, i: int, at_home: bool) -> tuple[int, int, float]:
        """Return the release and channel that a workload draws, and its surplus over doing without."""
        w, lam = self.users[i], self.p["demand.nest_dissimilarity"]
        usable, keep, without = self.usable(i, at_home=at_home), self.keeping(i), self.without(i)
        level = []
        for r, channel in usable:
            channels = sum(one.line == r.line for one, _ in usable)
            level.append(self.worth(i, r, channel) - self.moving(i, r, channel) - lam * math.log(channels))
        outside = -math.inf if at_home and max([keep, *level]) > -math.inf else without
        top, nests = max([keep, outside, *level]), dict.fromkeys((r.line for r, _ in usable), 0.0)
        for (r, _), u in zip(usable, level, strict=True):
            nests[r.line] += math.exp((u - top) / lam)
        options = []
        for (r, channel), u in zip(usable, level, strict=True):
            odds = math.exp((u - top) / lam) * nests[r.line] ** (lam - 1) if nests[r.line] > 1e-290 else 0.0
            options.append((odds, self.releases.index(r), channel))
        options += [(math.exp(keep - top), w.release, w.channel), (math.exp(outside - top), NONE, API)]
        total = math.fsum(odds for odds, _, _ in options)
        surplus = self.pains[i] / w.price_sensitivity * (math.log(total) + top - without)
        drawn = self.luck("choice", i) * total
        reached = accumulate(odds for odds, _, _ in options)
        _, release, channel = next(o for o, sum_ in zip(options, reached, strict=True) if sum_ >= drawn and o[0] > 0)
        return release, channel, surplus

    # 9. usage

    def serve(self) -> None:
        p = self.p
        wanted, needed = {}, [0.0] * len(self.labs)
        for i, w in enumerate(self.users):
            w.price = w.tokens = w.spilled = w.spill_price = 0.0
            if w.release != NONE:
                r = self.releases[w.release]
                w.price = self.price(r, w.channel, w.kind, self.needs[i])
                w.tokens = wanted[i] = self.needs[i] / (1 + w.price * self.needs[i] / self.pains[i])
                if w.channel == API:
                    needed[r.lab] += w.tokens * w.weight * r.hours * r.mix[w.kind] / 730
        served = []
        for lab, need in zip(self.labs, needed, strict=True):
            stock = lab.compute_share * self.of_bloc(self.serving, lab.bloc) * (1 - p["compute.research_share"])
            stock = max(stock, 1e-3)
            capacity = max(p["serving.api_share"] * stock, need) if self.replaying else lab.api_share * stock
            lab.serving_load, lab.api_share = need, capacity / stock
            lab.load += (need / capacity - lab.load) / p["serving.load_months"]
            served.append(min(1.0, capacity / need) if need > 0 else 1.0)
        self.unmet = 0.0
        for w in self.users:
            if w.release != NONE and w.channel == API:
                r = self.releases[w.release]
                missing = w.tokens * (1 - served[r.lab])
                if r.is_open:
                    w.spilled, w.spill_price = missing, self.price(r, HOST, w.kind, math.nan)
                else:
                    w.tokens -= missing
                    self.unmet += missing * w.weight

    # 10. ecosystem and downloads

    def follow_use(self) -> None:
        p = self.p
        developers = [(w.weight, self.releases[w.release]) for w in self.users if w.release != NONE and w.group < 2]
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
        for w in self.users:
            if w.release == NONE:
                continue
            r = self.releases[w.release]
            self.books["workloads"][w.release][w.channel] += w.weight
            flows = [(w.channel, w.tokens - w.spilled, w.price), (HOST, w.spilled, w.spill_price)]
            for channel, tokens, price in flows:
                unit = price if channel >= OWN else r.cost * r.mix[w.kind]
                self.books["tokens"][w.release][channel] += tokens * w.weight
                self.books["spend"][w.release][channel] += tokens * w.weight * price
                self.books["cost"][w.release][channel] += tokens * w.weight * unit
        self.surplus = math.fsum(w.surplus * w.weight for w in self.users if w.present)
        p = self.p
        fixed = p["serving.host.fixed_cost"] * p["serving.host.fixed_cost_growth"] ** self.years(date(2025, 2))
        for n, line in enumerate(self.lines):
            hosted = math.fsum(t[HOST] for r, t in zip(self.releases, self.books["tokens"], strict=True) if r.line == n)
            cost = 0.0 if line.current_open == NONE else self.releases[line.current_open].cost
            line.hosts = max(2, math.floor(math.sqrt(p["serving.host.transport"] * cost * hosted / fixed)))
