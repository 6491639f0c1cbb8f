"""One month of choice, usage and books for every workload of a small market, in plain loops and scalar arithmetic.

Written from docs/model.md, section 4.5, without the product's choice, usage and hosting code: the tables hold the
facts, `math` does the rest. Random luck comes from the published stream names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim import rng
from sim.market.supply import gpu_hour

API, HOST, OWN, DEVICE = range(4)
CHINA, USA = 2, 0
CLASS = ("chat", "knowledge", "coding", "agentic")
JANUARY_2025 = (2025 - 1970) * 12


@dataclass
class Outcome:
    """What one workload does; utilities by offer, keyed (release, channel), only where it looked again."""

    release: int
    channel: int
    price: float
    tokens: float
    utilities: dict[tuple[int, int], float] | None = None
    surplus: float = 0.0


@dataclass
class Before:
    """State at the start of the month that the month overwrites."""

    release: list[int]
    channel: list[int]
    chinese_share: float
    used: set[tuple[int, int]]  # organisation and lab


def remember(market: Any) -> Before:
    """Return the state that next month's choices start from."""
    release, channel = market.usage.release.tolist(), market.usage.channel.tolist()
    used, chinese, all_abroad = set(), 0.0, 0.0
    for i, r in enumerate(release):
        if r < 0:
            continue
        lab = int(market.releases.lab[r])
        used.add((int(market.workloads.organisation[i]), lab))
        if market.workloads.bloc[i] != CHINA:
            all_abroad += market.workloads.weight[i]
            chinese += market.workloads.weight[i] * (market.labs.bloc[lab] == CHINA)
    return Before(release, channel, chinese / all_abroad if all_abroad else 0.0, used)


class Twin:
    """The month that `market` has just simulated, from the state before it."""

    def __init__(self, market: Any, before: Before, leaps: Any, costs: Any, reference_frontier: float):
        self.m, self.before, self.p = market, before, market.parameters
        self.month = market.month - 1
        self.leap = min(1.0, max(0.0, max(leaps) / self.p["demand.leap_points"]))
        self.cost = costs
        self.rise = float(max(market.releases.capability)) - reference_frontier
        self.offers = self._offers()
        self.per_line: dict[int, int] = {}
        for r, _ in self.offers:
            line = int(market.releases.line[r])
            self.per_line[line] = self.per_line.get(line, 0) + 1

    def _offers(self) -> list[tuple[int, int]]:
        """Return (release, channel) on offer, sorted by line, release and channel."""
        t, lines, found = self.m.releases, self.m.lines, []
        for line in range(len(lines.names)):
            on = []
            api, weights = int(lines.current[line]), int(lines.current_open[line])
            if api >= 0 and t.has_api[api]:
                on.append((API, api))
            if weights >= 0:
                on += [(HOST, weights), (OWN, weights)] + [(DEVICE, weights)] * bool(t.on_device[weights])
            found += [(release, channel) for channel, release in on]
        return sorted(found, key=lambda rc: (int(t.line[rc[0]]), *rc))

    def family(self, i: int) -> str:
        return "developer" if self.m.workloads.group[i] < 2 else "enterprise"

    def need(self, i: int) -> float:
        w, p = self.m.workloads, self.p
        years = (self.month - JANUARY_2025) / 12
        until = (self.m.settings.history_until - JANUARY_2025) / 12
        late = max(0.0, years - until)
        fade = p["demand.volume_growth_fade"]
        grown = min(years, until) + (late if fade == 0 else (1 - math.exp(-fade * late)) / fade)
        return float(w.need[i]) * p[f"demand.volume_growth.{CLASS[w.kind[i]]}"] ** grown

    def price(self, i: int, r: int, channel: int) -> float:
        """Return what workload i pays for a release on a channel [USD/Mtok]."""
        t, p = self.m.releases, self.p
        kind = CLASS[self.m.workloads.kind[i]]
        if channel == DEVICE:
            return 0.0
        if channel == OWN:
            full = float(t.full_load_cost[r]) * float(self.cost.since_release[r]) / p["serving.self_host.utilisation"]
            cards = math.ceil(float(t.total_params[r]) * 1.2 / 80)
            cluster = cards * gpu_hour(self.m, self.month) * 730 / p["serving.self_host.sharing"]
            return max(full, cluster / self.need(i))
        a, b = float(t.input_price[r]), float(t.output_price[r])
        listed = (3 * a + b) / 4
        if channel == HOST:
            scale = float(self.cost.since_release[r])
        else:
            value = 0.0 if self.month <= self.m.settings.history_until else float(self.m.labs.adoption_value[t.lab[r]])
            scale = max(0.0, listed - value) / listed
        share = p[f"demand.input_share.{kind}"]
        return p[f"demand.price_factor.{kind}"] * scale * (share * a + (1 - share) * b)

    def success(self, i: int, r: int) -> float:
        w, t = self.m.workloads, self.m.releases
        kind = int(w.kind[i])
        able = float(t.capability[r]) + float(self.m.labs.strength[t.lab[r], kind])
        hard = float(w.difficulty[i]) + self.p[f"demand.ambition.{CLASS[kind]}"] * self.rise
        return 1 / (1 + math.exp((hard - able) / self.p["demand.success_width"]))

    def liking(self, i: int, r: int, channel: int) -> float:
        """Return everything but the bill, success and the cost of moving."""
        w, t, p = self.m.workloads, self.m.releases, self.p
        lab, line = int(t.lab[r]), int(t.line[r])
        bloc = int(self.m.labs.bloc[lab])
        name = ("lab_api", "host", "own", "own")[channel]
        total = float(w.control_value[i]) * float(t.degree[r]) * p[f"demand.control.{name}"]
        if bloc == CHINA:
            relief = math.exp(-p["demand.distrust_relief"] * self.before.chinese_share)
            total -= float(w.distrust[i]) * relief * p[f"demand.exposure.{name}"]
            total += p["demand.language_fit"] * (w.bloc[i] == CHINA)
        total += float(self.m.labs.brand[lab]) + float(w.taste_line[i, line]) + float(w.taste_origin[i, bloc])
        total += float(w.taste_open[i]) * bool(t.is_open[r])
        if channel == OWN:
            staff = p[f"demand.{self.family(i)}.staff_cost"]
            total -= float(w.price_sensitivity[i]) * math.log(1 + staff / float(w.pain[i]))
        return total

    def worth(self, i: int, r: int, channel: int) -> float:
        w = self.m.workloads
        bill = math.log(1 + self.price(i, r, channel) * self.need(i) / float(w.pain[i]))
        gain = float(w.value[i]) * self.success(i, r)
        return gain - float(w.price_sensitivity[i]) * bill + self.liking(i, r, channel)

    def moving(self, i: int, r: int, channel: int) -> float:
        now, p, own = self.before.release[i], self.p, f"demand.{self.family(i)}."
        if now < 0:
            return p[own + "adoption_cost"]
        if (now, self.before.channel[i]) == (r, channel):
            return 0.0
        lab = int(self.m.releases.lab[r])
        if lab == self.m.releases.lab[now]:
            return p[own + "upgrade_cost"]
        known = (int(self.m.workloads.organisation[i]), lab) in self.before.used
        return p[own + "switching_cost"] * (1 - p["demand.multi_home_discount"] * known)

    def barred(self, i: int, lab: int, channel: int) -> bool:
        binding = 1970 + self.month / 12 >= self.p["demand.ban.start"]
        return bool(self.m.workloads.banned[i]) and binding and channel == API and self.m.labs.bloc[lab] == CHINA

    def may(self, i: int, r: int, channel: int, at_home: bool) -> bool:
        w, lab, now = self.m.workloads, int(self.m.releases.lab[r]), self.before.release[i]
        vendor = int(self.m.releases.lab[now]) if now >= 0 else -1
        seg = int(w.group[i]) * 4 + int(w.bloc[i])
        a, b = float(self.m.awareness[seg, lab]), float(self.m.buzz[lab])
        knows = float(w.attention[i, lab]) < 1 - (1 - a) * (1 - b)
        if at_home and lab != vendor:
            return False
        if not (knows or lab == vendor):
            return False
        if channel == API and w.bloc[i] == CHINA and self.m.labs.bloc[lab] == USA:
            return False
        if channel == DEVICE and self.need(i) > self.p["serving.on_device_limit"]:
            return False
        return not self.barred(i, lab, channel)

    def luck(self, what: str, key: int) -> float:
        return float(rng.uniform(rng.stream_key(self.m.seed, what, self.month), key))

    def on_offer(self, r: int, channel: int) -> bool:
        return (r, channel) in self.offers

    def still_runs(self, r: int, channel: int) -> bool:
        return channel != API or self.month < self.m.releases.superseded[r] + self.p["capability.deprecation"]

    def clocks(self, i: int) -> tuple[bool, bool]:
        """Return whether the workload looks again, and only at home."""
        w, t, p = self.m.workloads, self.m.releases, self.p
        now, channel, house = self.before.release[i], self.before.channel[i], int(w.organisation[i])
        hazard = min(1.0, p[f"demand.{self.family(i)}.review_hazard"] * (1 + p["demand.review_bump"] * self.leap))
        reviews = self.luck("review", house) < hazard
        if now < 0:
            return reviews or w.arrival[i] == self.month, False
        off = channel == API and not self.still_runs(now, channel)
        upgrades = False
        if not self.on_offer(now, channel):
            newest = int(self.m.lines.current[t.line[now]])
            fresh = newest >= 0 and t.month[newest] == self.month
            step = float(t.capability[newest] - t.capability[now]) if fresh else 0.0
            share = min(1.0, max(0.0, step / p["demand.leap_points"]))
            pull = p["demand.upgrade_hazard"] + (p["demand.upgrade_hazard_leap"] - p["demand.upgrade_hazard"]) * share
            upgrades = self.luck("upgrade", house) < pull
        vendor_sells = any(t.lab[r] == t.lab[now] for r, _ in self.offers)
        return reviews or upgrades or off, (upgrades or off) and not reviews and vendor_sells

    def choose(self, i: int) -> Outcome:
        """Return what workload i uses, pays and buys this month."""
        w, now, channel = self.m.workloads, self.before.release[i], self.before.channel[i]
        if w.arrival[i] > self.month:
            return Outcome(-1, API, 0.0, 0.0)
        looks, at_home = self.clocks(i)
        if not looks:
            return self._bought(i, now, channel)
        utility = {
            (r, c): self.worth(i, r, c) - self.moving(i, r, c) for r, c in self.offers if self.may(i, r, c, at_home)
        }
        keeps = now >= 0 and not self.on_offer(now, channel) and self.still_runs(now, channel)
        keeps = keeps and not self.barred(i, int(self.m.releases.lab[now]), channel)
        keep = self.worth(i, now, channel) if keeps else -math.inf
        without = self.p[f"demand.{self.family(i)}.without_ai_cost"] * self.need(i) / float(w.pain[i])
        outside = -float(w.price_sensitivity[i]) * math.log(1 + without)
        allowed = -math.inf if at_home and (utility or keeps) else outside
        options, total = self._weights(utility, keep, allowed)
        r, c = self._draw(options, total, self.luck("choice", i), (now, channel))
        found = self._bought(i, r, c)
        found.utilities = utility
        found.surplus = float(w.pain[i]) / float(w.price_sensitivity[i]) * (math.log(total) + self.top - outside)
        return found

    def _weights(self, utility: dict, keep: float, outside: float) -> tuple[list, float]:
        """Return (option, weight) in the order offers, keep, outside, and their sum, relative to the best option."""
        lam = self.p["demand.nest_dissimilarity"]
        line = {rc: int(self.m.releases.line[rc[0]]) for rc in utility}
        level = {rc: u - lam * math.log(self.per_line[line[rc]]) for rc, u in utility.items()}
        self.top = max([*level.values(), keep, outside])
        nests: dict[int, float] = {}
        for rc, u in level.items():
            nests[line[rc]] = nests.get(line[rc], 0.0) + math.exp((u - self.top) / lam)
        options: list = []
        for rc in self.offers:
            if rc in level and nests[line[rc]] > 0:
                inside = math.exp((level[rc] - self.top) / lam) / nests[line[rc]]
                options.append((rc, inside * nests[line[rc]] ** lam))
        options += [("keep", math.exp(keep - self.top)), ("outside", math.exp(outside - self.top))]
        return options, math.fsum(weight for _, weight in options)

    @staticmethod
    def _draw(options: list, total: float, u: float, now: tuple[int, int]) -> tuple[int, int]:
        reached, chosen = 0.0, None
        for option, weight in options:
            reached += weight
            if reached >= u * total:
                chosen = option
                break
        if chosen == "keep":
            return now
        return (-1, API) if chosen == "outside" else chosen

    def _bought(self, i: int, r: int, channel: int) -> Outcome:
        if r < 0:
            return Outcome(-1, channel, 0.0, 0.0)
        price, need = self.price(i, r, channel), self.need(i)
        return Outcome(r, channel, price, need / (1 + price * need / float(self.m.workloads.pain[i])))

    def cost_of(self, i: int, found: Outcome) -> float:
        """Return what serving the tokens costs whoever serves them [USD/Mtok]."""
        if found.release < 0 or found.channel in (OWN, DEVICE):
            return found.price
        t, r = self.m.releases, found.release
        listed = float(3 * t.input_price[r] + t.output_price[r]) / 4
        if found.channel == HOST:
            listed *= float(self.cost.since_release[r])
        elif self.month > self.m.settings.history_until:
            listed = max(0.0, listed - float(self.m.labs.adoption_value[t.lab[r]]))
        return found.price * float(self.cost.marginal[r]) / listed


def by_offer(outcomes: list[Outcome], amounts: list[float]) -> dict[tuple[int, int], float]:
    """Return amounts summed by release and channel."""
    total: dict[tuple[int, int], float] = {}
    for found, amount in zip(outcomes, amounts, strict=True):
        if found.release >= 0:
            key = (found.release, found.channel)
            total[key] = total.get(key, 0.0) + amount
    return total


def as_array(total: dict[tuple[int, int], float], shape: tuple[int, int]) -> np.ndarray:
    """Return sums by (release, channel) as an array."""
    found = np.zeros(shape)
    for place, amount in total.items():
        found[place] = amount
    return found
