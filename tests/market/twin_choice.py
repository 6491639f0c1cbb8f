"""Stage 8 of the plain month of `twin.py`: what people and taste nodes make of offers, who looks, what they draw."""

from __future__ import annotations

import math
from itertools import accumulate
from types import SimpleNamespace as Row
from typing import Any

from sim import evidence, rng

from .twin_supply import (
    API,
    BLOCS,
    CHINA,
    CLASSES,
    DEVICE,
    FAMILIES,
    GROUPS,
    NONE,
    OWN,
    REACH,
    US,
    Supply,
    date,
)
from .twin_supply import CHANNELS as NAMES

CHANNELS = ("lab_api", "host", "self_host", "on_device")


class Choice(Supply):
    """Looking around, utility, clocks, choice; `twin_nodes.py` has what nodes alone do."""

    # what everybody sees

    def uses(self) -> list[tuple[Row, float, Row, int]]:
        """Return who uses what: person or node, workloads in the world, release, channel."""
        if self.users:
            return [(w, w.weight, self.releases[w.release], w.channel) for w in self.users if w.release != NONE]
        return [
            (node, node.weight * share, self.releases[release], channel)
            for node in self.nodes
            for (release, channel), share in zip(self.states, node.shares, strict=True)
            if release != NONE and share > 0.0
        ]

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
        abroad = [(weight, r) for w, weight, r, _ in self.uses() if w.bloc != CHINA]
        chinese = math.fsum(n for n, r in abroad if self.labs[r.lab].bloc == CHINA)
        self.chinese_share = chinese / math.fsum(n for n, _ in abroad) if abroad else 0.0
        self.used = {(w.organisation, self.releases[w.release].lab) for w in self.users if w.release != NONE}
        self.note_segments()
        reference = max(seen.capability for seen in evidence.releases(until=date(2025, 1)))
        self.rise = self.best() - reference
        self.lost = {"chinese": 0.0, "open": 0.0, "closed": 0.0}
        for s in self.policy.trust:
            self.lost[s.target] += s.size * 0.5 ** ((self.month - s.month) / s.half_life)
        for w in (*self.users, *self.nodes):
            w.reach = [0, 0, 0, 0]
            for ban in self.policy.bans:
                origin = BLOCS.index(ban.origin)
                key = rng.stream_key(w.seed, f"ban event:{ban.origin}")
                bound = float(rng.uniform(key, w.organisation)) < ban.share
                there = w.bloc != origin if ban.adopters == "all" else BLOCS[w.bloc] == ban.adopters
                if bound and there and w.group in GROUPS[ban.group]:
                    w.reach[origin] = max(w.reach[origin], 1 + ("api", "hosted", "weights").index(ban.scope))
            if w.banned and 1970 + self.month / 12 >= self.p["demand.ban.start"]:
                w.reach[CHINA] = max(w.reach[CHINA], 1)

    def note_segments(self) -> None:
        """Note the chance that an organisation of a segment uses a lab for another workload than the one looked at."""
        here, count = [0.0] * 20, [[0.0] * len(self.labs) for _ in range(20)]
        for w in self.users or self.nodes:
            here[w.group * 4 + w.bloc] += w.weight * w.present
        for w, weight, r, _ in self.uses():
            count[w.group * 4 + w.bloc][r.lab] += weight
        sizes = [n ** (1 - self.p["demand.organisation_tail"]) for n in range(1, 13)]

        def another(share: float) -> float:
            kept = ((1 - share) ** n * size for n, size in enumerate(sizes))
            return 1 - math.fsum(kept) / math.fsum(sizes)

        self.elsewhere = [
            [another(n / total) if total > 0 else 0.0 for n in row] for row, total in zip(count, here, strict=True)
        ]

    def barred(self, w: Row, r: Row, channel: int) -> bool:
        return w.reach[self.labs[r.lab].bloc] >= REACH[channel]

    # utility

    def success(self, w: Row, r: Row) -> float:
        able = r.perceived + self.labs[r.lab].strength[w.kind]
        hard = w.difficulty + self.p[f"demand.ambition.{CLASSES[w.kind]}"] * self.rise
        return 1 / (1 + math.exp((hard - able) / self.p["demand.success_width"]))

    def liking(self, w: Row, r: Row, channel: int) -> float:
        """Return the utility of a release on a channel but for its bill and the cost of moving."""
        p, lab, name = self.p, self.labs[r.lab], NAMES[channel]
        total = w.value * self.success(w, r) + w.control_value * r.degree * p[f"demand.control.{name}"]
        if lab.bloc == CHINA:
            relief = math.exp(-p["demand.distrust_relief"] * self.chinese_share)
            total -= (w.distrust * relief + self.lost["chinese"]) * p[f"demand.exposure.{name}"]
            total += p["demand.language_fit"] * (w.bloc == CHINA)
        total += lab.brand + self.affinity[w.group >= 2][r.lab] + w.taste_line[r.line] + w.taste_origin[lab.bloc]
        if r.is_open:
            more = p["demand.ecosystem_own"] if channel >= OWN else 1.0
            total += self.own(w, "ecosystem_weight") * more * math.log1p(self.ecosystem[r.line])
            total += w.taste_open
        if r.of_open_line:
            total += self.own(w, "open_constant")
        total -= self.lost["open" if r.is_open else "closed"]
        if channel == API:
            total -= p["demand.latency_cost"] * lab.load**4
        if channel == OWN:
            total -= w.price_sensitivity * math.log(1 + self.own(w, "staff_cost") / w.pain_now)
        return total

    def bill(self, w: Row, price: float) -> float:
        return w.price_sensitivity * math.log(1 + price * w.need_now / w.pain_now)

    def worth(self, w: Row, r: Row, channel: int) -> float:
        return self.liking(w, r, channel) - self.bill(w, self.price(r, channel, w.kind, w.need_now))

    def without(self, w: Row) -> float:
        return -self.bill(w, self.own(w, "without_ai_cost"))

    def keeping(self, w: Row) -> float:
        if w.release == NONE:
            return -math.inf
        r = self.releases[w.release]
        keeps = not self.on_offer(r, w.channel) and self.runs(r, w.channel) and not self.barred(w, r, w.channel)
        return self.worth(w, r, w.channel) if keeps else -math.inf

    def runs(self, r: Row, channel: int) -> bool:
        if channel != API:
            return r.is_open
        return self.month < r.superseded + self.p["capability.deprecation"] and self.sells(r.lab)

    def moving(self, w: Row, r: Row, channel: int) -> float:
        if w.release == NONE:
            return self.own(w, "adoption_cost")
        now = self.releases[w.release]
        if now is r and w.channel == channel:
            return 0.0
        if now.lab == r.lab:
            return self.own(w, "upgrade_cost")
        known = self.elsewhere[w.group * 4 + w.bloc][r.lab] if w.is_node else (w.organisation, r.lab) in self.used
        return self.own(w, "switching_cost") * (1 - self.p["demand.multi_home_discount"] * known)

    def knows(self, w: Row, lab: int) -> bool:
        return w.attention[lab] < 1 - (1 - self.awareness[w.group * 4 + w.bloc][lab]) * (1 - self.buzz[lab])

    def allowed(self, w: Row) -> list[tuple[Row, int]]:
        """Return the offers that nothing forbids, known or not."""
        found = []
        for r, channel in self.offers:
            abroad = channel == API and w.bloc == CHINA and self.labs[r.lab].bloc == US
            heavy = channel == DEVICE and w.need_now > self.p["serving.on_device_limit"]
            if not abroad and not heavy and not self.barred(w, r, channel):
                found.append((r, channel))
        return found

    def looked_at(self, w: Row, offers: list[Any], *, at_home: bool) -> list[Any]:
        """Return those of some offers, a release first, that a workload looks at."""
        vendor = NONE if w.release == NONE else self.releases[w.release].lab
        known = [lab == vendor or (not at_home and self.knows(w, lab)) for lab in range(len(self.labs))]
        return [one for one in offers if known[one[0].lab]]

    # who looks

    def luck(self, what: str, key: int) -> float:
        return float(rng.uniform(rng.stream_key(self.population_seed, what, self.month), key))

    def review_hazard(self, w: Row) -> float:
        leap = min(1.0, max(self.leap) / self.p["demand.leap_points"])
        return min(1.0, self.own(w, "review_hazard") * (1 + self.p["demand.review_bump"] * leap))

    def upgrade_hazard(self, r: Row, channel: int) -> float:
        """Return the hazard of a look at the vendor's newer release, of who uses one that is on offer no more."""
        if self.on_offer(r, channel):
            return 0.0
        p, newest = self.p, self.lines[r.line].current
        fresh = newest != NONE and self.releases[newest].month == self.month
        step = self.releases[newest].capability - r.capability if fresh else 0.0
        usual, part = p["demand.upgrade_hazard"], min(1.0, max(0.0, step / p["demand.leap_points"]))
        return usual + (p["demand.upgrade_hazard_leap"] - usual) * part

    def sold_at_all(self, lab: int) -> bool:
        return any(one.lab == lab for one, _ in self.offers)

    def clocks(self, w: Row) -> tuple[bool, bool]:
        """Return whether a workload looks again, and whether only at its vendor's offers."""
        reviews = self.luck("review", w.organisation) < self.review_hazard(w)
        if w.release == NONE:
            return reviews or w.arrival == self.month, False
        r = self.releases[w.release]
        off, barred = not self.runs(r, w.channel), self.barred(w, r, w.channel)
        upgrades = self.luck("upgrade", w.organisation) < self.upgrade_hazard(r, w.channel)
        at_home = (upgrades or off) and not reviews and not barred and self.sold_at_all(r.lab)
        return reviews or upgrades or off or barred, at_home

    # choice

    def choose(self) -> None:
        self.look_around()
        self.looked: dict[int, bool] = {}
        self.evaluations = [0.0] * len(self.lines)
        self.choose_for_nodes()
        chosen = {}
        for i, w in enumerate(self.users):
            w.present = w.arrival <= self.month
            looks, at_home = self.clocks(w) if w.present else (False, False)
            if looks:
                self.looked[i] = at_home
                chosen[i] = self.drawn(i, at_home)
                self.evaluate(w, w.weight)
        for i, w in enumerate(self.users):
            if i in chosen:
                w.release, w.channel, gain = chosen[i]
                w.held = gain - self.over(w)
            if w.present:
                w.surplus = w.pain_now / w.price_sensitivity * (self.over(w) + w.held)

    def over(self, w: Row) -> float:
        """Return the utility of what a workload uses over doing without, but for tastes, which stay as they are."""
        if w.release == NONE:
            return 0.0
        r = self.releases[w.release]
        tastes = w.taste_line[r.line] + w.taste_origin[self.labs[r.lab].bloc]
        tastes += self.p["demand.language_fit"] * (w.bloc == CHINA == self.labs[r.lab].bloc)
        return self.worth(w, r, w.channel) - self.without(w) - tastes

    def evaluate(self, w: Row, weight: float) -> None:
        for n, line in enumerate(self.lines):
            if w.group < 2 and line.current_open != NONE and self.knows(w, line.lab):
                self.evaluations[n] += weight

    def menu(self, w: Row) -> list[tuple[Row, int, float]]:
        return [(r, channel, self.worth(w, r, channel)) for r, channel in self.allowed(w)]

    def options(
        self, w: Row, menu: list[tuple[Row, int, float]], *, at_home: bool
    ) -> tuple[list[tuple[float, int, int]], float]:
        """Return odds, release and channel of all options, keeping and doing without last, and what a look is worth."""
        lam, keep, without = self.p["demand.nest_dissimilarity"], self.keeping(w), self.without(w)
        usable = self.looked_at(w, menu, at_home=at_home)
        channels: dict[int, int] = {}
        for r, _, _ in usable:
            channels[r.line] = channels.get(r.line, 0) + 1
        level = [u - self.moving(w, r, channel) - lam * math.log(channels[r.line]) for r, channel, u in usable]
        outside = -math.inf if at_home and max([keep, *level]) > -math.inf else without
        top, nests = max([keep, outside, *level]), dict.fromkeys(channels, 0.0)
        for (r, _, _), u in zip(usable, level, strict=True):
            nests[r.line] += math.exp((u - top) / lam)
        options = []
        for (r, channel, _), u in zip(usable, level, strict=True):
            odds = math.exp((u - top) / lam) * nests[r.line] ** (lam - 1) if nests[r.line] > 1e-290 else 0.0
            options.append((odds, r.number, channel))
        options += [(math.exp(keep - top), w.release, w.channel), (math.exp(outside - top), NONE, API)]
        total = math.fsum(odds for odds, _, _ in options)
        return options, math.log(total) + top - without

    def drawn(self, i: int, at_home: bool) -> tuple[int, int, float]:
        """Return the release and channel that a workload draws, and the utility of its look over doing without."""
        w = self.users[i]
        options, gain = self.options(w, self.menu(w), at_home=at_home)
        if self.option_noise:
            return *self.first(i, options), gain
        target = self.luck("choice", i) * math.fsum(odds for odds, _, _ in options)
        reached = accumulate(odds for odds, _, _ in options)
        _, release, channel = next(o for o, sum_ in zip(options, reached, strict=True) if sum_ >= target and o[0] > 0)
        return release, channel, gain

    def first(self, i: int, options: list[tuple[float, int, int]]) -> tuple[int, int]:
        """Return the option that comes first where each has a clock of its own: a line, and an offer inside it."""

        def waits(odds: float, *name: str) -> float:
            key = rng.stream_key(self.population_seed, ":".join(("option", *name)), self.month)
            u = ((int(rng.bits(key, i)) >> 41) + 0.5) * 2.0**-23
            return -math.log(u) / odds if odds > 0 else math.inf

        *offers, stays, without = options
        lines: dict[int, list[tuple[float, int, int]]] = {}
        for one in offers:
            lines.setdefault(self.releases[one[1]].line, []).append(one)
        clocks = {line: waits(math.fsum(o[0] for o in own), self.lines[line].names) for line, own in lines.items()}
        best = min(clocks, key=clocks.__getitem__, default=None)
        least = math.inf if best is None else clocks[best]
        if min(least, waits(stays[0], "stay")) > waits(without[0], "without"):
            return without[1:]
        if best is None or waits(stays[0], "stay") < least:
            return stays[1:]

        def inside(one: tuple[float, int, int]) -> float:
            weights = "open" if self.releases[one[1]].is_open else "closed"
            return waits(one[0], self.lines[best].names, CHANNELS[one[2]], weights)

        return min(lines[best], key=inside)[1:]
