"""A month of the whole market written a second time, in plain Python: records, loops and `math`.

Written from the equations of docs/model.md. It shares with the product the drawn settings, the tables of state before
the month, the evidence that is replayed and the random numbers of `sim.rng`, and no other code. The equilibrium of
prices alone is not solved here: what the product found is held against the profits of this market
(`slopes_of_profit`); what is then posted is computed.
"""

from __future__ import annotations

import copy
import math
from dataclasses import fields
from types import SimpleNamespace as Row
from typing import Any

from sim import evidence, rng

BLOCS = ("US", "EU", "CN", "ROW")
US, CHINA = 0, 2
CLASSES = ("chat", "knowledge", "coding", "agentic", "embodied")
FAMILIES = ("developer", "enterprise")
GROUPS = {"developers": (0, 1), "enterprises": (2, 3, 4), "all": (0, 1, 2, 3, 4)}
GROUPS |= {name: (g,) for g, name in enumerate(("indie", "startup", "ordinary", "regulated", "public"))}
API, HOST, OWN, DEVICE = range(4)
CHANNELS = ("lab_api", "host", "own", "own")  # in the names of parameters
REACH = (1, 2, 3, 3)  # of a ban from which a channel is closed
TIERS = ("B200", "H200", "H20")
DEGREES = {"open_source": 1.0, "open_weights": 0.8, "restricted_weights": 0.5, "closed": 0.0}
STOCKS = ("abroad", "legal", "diverted", "domestic")
FAR, NONE = 10**9, -1


def date(year: int, month: int) -> int:
    return (year - 1970) * 12 + month - 1


def rows(*tables: Any) -> list[Row]:
    """Return tables of columns, of one length, as a list of records."""
    columns = {f.name: getattr(table, f.name) for table in tables for f in fields(table)}
    lists = {name: column.tolist() if hasattr(column, "tolist") else list(column) for name, column in columns.items()}
    return [Row(**dict(zip(lists, entry, strict=True))) for entry in zip(*lists.values(), strict=True)]


def upper_gamma(a: float, x: float) -> float:
    """Return the upper tail of the Gamma distribution with shape a at x, by series or by continued fraction."""
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for n in range(1, 2000):
            term *= x / (a + n)
            total += term
        return 1 - scale * total
    fraction = 0.0
    for n in range(2000, 0, -1):
        fraction = n * (n - a) / (x + 2 * n + 1 - a - fraction)
    return scale / (x + 1 - a - fraction)



class Plain:
    """The market before a month; `run` carries it to the end of the month."""

    def __init__(self, market: Any, panel_rows: int):
        settings = market.settings
        self.p, self.events = market.parameters, settings.events
        self.start, self.until, self.month = settings.start, settings.history_until, market.month
        self.seed, self.population_seed, self.panel_rows = market.seed, market.population_seed, panel_rows
        self.labs, self.lines, self.releases = rows(market.labs), rows(market.lines), rows(market.releases)
        self.users = rows(market.workloads, market.usage)
        self.policy = Row(**vars(market.policy))
        for name in ("bans", "trust", "promotions", "subsidy", "research_grant", "publish_limit", "domestic_growth"):
            setattr(self.policy, name, list(getattr(self.policy, name)))
        self.policy.quota = dict(self.policy.quota)
        self.stock = {name: getattr(market.compute, name) for name in (*STOCKS, "rented")}
        self.serving = {name: getattr(market.compute.serving, name) for name in (*STOCKS, "rented")}
        self.research_log = [row.tolist() for row in market.compute_log]
        self.revenue, self.slope, self.handover = market.revenue, market.slope, None
        if market.handover is not None:
            found = {f.name: getattr(market.handover, f.name) for f in fields(market.handover)}
            self.handover = Row(**{k: v.tolist() if hasattr(v, "tolist") else v for k, v in found.items()})
        self.awareness, self.buzz = market.awareness.tolist(), market.buzz.tolist()
        self.affinity, self.ecosystem = market.affinity.tolist(), market.ecosystem.tolist()
        self.downloads = market.downloads.tolist()
        first = self.month == self.start
        self.api_tokens = [] if first else market.accounts.tokens[:, API].tolist()
        self.labs_earned = 0.0 if first else market.accounts.spend_labs

    def run(self, wanted: list[float]) -> None:
        """Simulate the month; `wanted` are the equilibrium prices that the product found, by release."""
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
            self.hand_over()

    @property
    def replaying(self) -> bool:
        return self.month <= self.until

    def years(self, since: int, month: int | None = None) -> float:
        return ((self.month if month is None else month) - since) / 12

    # 1. policy

    def act(self) -> None:
        p, policy = self.p, self.policy
        if self.month == self.until + 1:
            policy.quota = {tier: p[f"compute.cn.quota_{tier.lower()}"] for tier in TIERS}
            policy.allowed = p["compute.cn.import_allowed"]
        self.entries: list[tuple[int, Row]] = []

        def breadth(event: Any) -> int:
            who = event.fields.get("who", "all")
            return 0 if who == "all" else 1 if who in BLOCS else 2

        due = [event for event in self.events if event.date == self.month]
        for event in sorted(due, key=lambda e: (breadth(e), e.id)):
            said = Row(**event.fields)
            who = event.fields.get("who", event.fields.get("lab"))
            meant = [i for i, lab in enumerate(self.labs) if who in ("all", BLOCS[lab.bloc], lab.names)]
            self.pull(event.lever, said, meant)
        for line in self.lines:
            if not self.labs[line.lab].active:
                line.next_month = math.inf

    def pull(self, lever: str, said: Row, meant: list[int]) -> None:
        policy, labs = self.policy, [self.labs[i] for i in meant]
        if lever == "export_control":
            policy.quota[said.tier] = said.quota
            policy.leakage = policy.leakage if math.isnan(said.leakage) else said.leakage
        elif lever == "import_restriction":
            policy.allowed = said.allowed
        elif lever == "cloud_access":
            policy.cloud_open = said.open
        elif lever == "domestic_ramp":
            policy.domestic_growth.append((self.month, said.growth))
        elif lever == "model_ban":
            aim = (said.origin, said.adopters, said.group)
            policy.bans = [ban for ban in policy.bans if (ban.origin, ban.adopters, ban.group) != aim]
            policy.bans += [said] if said.share > 0 else []
        elif lever == "trust_shock":
            policy.trust.append(Row(**vars(said), month=self.month))
        elif lever == "open_subsidy":
            policy.subsidy[BLOCS.index(said.bloc)] = said.share
            if not math.isnan(said.compute):
                policy.research_grant[BLOCS.index(said.bloc)] = said.compute
        elif lever == "publishing_restriction":
            policy.publish_limit[BLOCS.index(said.bloc)] = said.above
        elif lever == "distillation_crackdown":
            policy.closed_leak = said.factor
        elif lever == "compute_shock":
            policy.world_compute = said.factor
        elif lever == "frontier_shock":
            policy.frontier = policy.frontier if math.isnan(said.factor) else said.factor
            for lab in labs:
                lab.knowledge += said.points
        elif lever == "price_rule":
            for lab in labs:
                lab.price_rule = said.rule
        elif lever == "promotion":
            policy.promotions += [Row(lab=i, discount=said.discount, month=self.month, months=said.months) for i in meant]
        elif lever == "openness_change":
            for lab in labs:
                for name, column in (("points", "openness_points"), ("delay_months", "openness_delay"), ("degree", "degree"), ("openness", "openness")):
                    value = getattr(said, name)
                    if value == value:  # given
                        setattr(lab, column, value)
        elif lever == "lab_exit":
            labs[0].active = False
        elif lever == "lab_entry":
            self.enter(meant[0], said)
        else:
            raise AssertionError(lever)

    def enter(self, i: int, said: Row) -> None:
        lab = self.labs[i]
        lab.active = True
        self.entries.append((i, said))
        self.newest_line(i).offset = 0.0
        self.handover.level[i] = max(r.capability for r in self.releases) - said.points_behind
        self.handover.research_compute[i] = lab.research_compute
        self.handover.data[i], self.handover.knowledge[i] = lab.data, lab.knowledge

    def newest_line(self, lab: int) -> Row:
        return max((line for line in self.lines if line.lab == lab), key=lambda line: line.last_month)

    # 2. compute

    def accelerators(self) -> None:
        p, policy, month = self.p, self.policy, self.month
        self.revenue = self.averaged_revenue(self.revenue, self.labs_earned) if month > self.start else math.nan
        share, perf = p["compute.cn.demand_share"], p["compute.perf.domestic"]
        if self.replaying:
            legal = self.seen_legal(month) - self.seen_legal(month - 1)
            abroad = self.seen_abroad(month) - self.seen_abroad(month - 1)
            demand, licensed = share * (abroad + legal), legal
            early = {"A100", "H100", "A800", "H800"} & set(evidence.tiers_allowed(month))
            legal_serving = legal if early else legal * p["compute.perf_infer.h20"] / 0.15
            domestic = self.domestic(month)
        else:
            abroad = self.added_abroad()
            demand = abroad * share / (1 - share)
            legal, legal_serving = self.imports(demand, policy.allowed)
            licensed, _ = self.imports(demand, 1.0)
            domestic, since = self.domestic(self.until), self.until
            growth = p["compute.cn.domestic_growth"]
            for when, factor in policy.domestic_growth:
                domestic, since, growth = domestic * growth ** ((when - since) / 12), when, factor
            domestic *= growth ** ((month - since) / 12)
        diverted = policy.leakage * max(0.0, demand - licensed - domestic * perf)
        added = {"abroad": abroad, "legal": legal, "diverted": diverted, "domestic": domestic * perf}
        added_serving = added | {"legal": legal_serving, "domestic": domestic * p["compute.perf_infer.domestic"]}
        keep = (1 - p["compute.retirement"]) ** (1 / 12)
        for stock, more in ((self.stock, added), (self.serving, added_serving)):
            for name in STOCKS:
                stock[name] = stock[name] * keep + more[name]
            stock["rented"] = p["compute.cn.rented_share"] * policy.cloud_open * stock["abroad"]
        for i, lab in enumerate(self.labs):
            now = lab.compute_share * max(1.0, self.of_bloc(self.stock, lab.bloc)) * p["compute.research_share"]
            current = [self.releases[line.current] for line in self.lines if line.lab == i and line.current != NONE]
            if lab.active and any(r.is_open for r in current):
                now *= policy.research_grant[lab.bloc]
            lab.research_compute += (max(now, 1e-3) - lab.research_compute) / p["capability.smoothing_months"]
        self.research_log.append([lab.research_compute for lab in self.labs])

    @staticmethod
    def seen_legal(month: int) -> float:
        return evidence.china_legal_stock(month).median

    def seen_abroad(self, month: int) -> float:
        return evidence.world_stock(month) - self.seen_legal(month)

    @staticmethod
    def averaged_revenue(average: float, earned: float) -> float:
        return earned if math.isnan(average) else average + (earned - average) / 12

    def domestic(self, month: int) -> float:
        years = self.years(date(2025, 7), month)
        return self.p["compute.cn.domestic_units_2025"] / 12 * self.p["compute.cn.domestic_past_growth"] ** years

    def added_abroad(self) -> float:
        p, fade, start = self.p, self.p["compute.world.growth_fade"], self.handover

        def trend(years: float) -> float:
            grown = years if fade == 0 else (1 - math.exp(-fade * years)) / fade
            return start.added_abroad / 12 * p["compute.world.growth"] ** grown

        now = 0.5 + self.years(self.until)
        relative = 1.0
        if start.revenue > 0:
            relative = self.revenue / start.revenue / (trend(now - 1 / 12) / trend(0.5))
        return trend(now) * self.policy.world_compute * min(4.0, max(0.25, relative)) ** p["compute.revenue_elasticity"]

    def imports(self, demand: float, allowed: float) -> tuple[float, float]:
        """Return legal imports in training and in serving weights."""
        left, worth, serving = demand, 0.0, 0.0
        position = self.month % 12
        for tier in TIERS:
            yearly, perf = self.policy.quota[tier], self.p[f"compute.perf.{tier.lower()}"]
            licensed = math.floor(yearly * (position + 1) / 12) - math.floor(yearly * position / 12)
            units = min(math.floor(licensed * allowed), math.floor(left / perf))
            left -= units * perf
            worth += units * perf
            serving += units * self.p[f"compute.perf_infer.{tier.lower()}"]
        return worth, serving

    def of_bloc(self, stock: dict[str, float], bloc: int) -> float:
        if bloc == CHINA:
            return stock["legal"] + stock["diverted"] + stock["domestic"] + stock["rented"]
        us = self.p["compute.us_share"]
        eu = min(self.p["compute.eu_share"], 1 - us)
        return (us, eu, 0.0, 1 - us - eu)[bloc] * stock["abroad"]

    # 3. knowledge and capability

    def learn(self) -> None:
        p, start, month = self.p, self.handover, self.month
        seen = self.data_seen(month, self.api_tokens)
        for lab, more in zip(self.labs, seen, strict=True):
            lab.data = (1 - p["capability.data_decay"]) * lab.data + more
        if start is None:
            for i, lab in enumerate(self.labs):
                lab.potential = self.best(i)
            return
        key = rng.stream_key(self.seed, "frontier regime", month)
        if float(rng.uniform(key, 0)) < p["capability.regime_hazard"]:
            z, sd = float(rng.normal(key, 1)), p["capability.regime_sd"]
            self.slope = min(60.0, p["capability.frontier_slope"] * math.exp(sd * z - sd * sd / 2))
        before = [lab.knowledge for lab in self.labs]
        front, own = max(before), self.own_work(start.front, start.received)
        gifts = self.gifts(self.novelty(month - 1))
        taught = self.open_level(before)
        for i, lab in enumerate(self.labs):
            k = before[i]
            lab.knowledge = k + own[i] + gifts[i] + p["capability.catch_up_open"] * max(0.0, taught - k)
            lab.knowledge += p["capability.catch_up_closed"] * self.policy.closed_leak * (front - k)
            lab.potential = (
                start.level[i]
                + p["capability.compute_effect"] * math.log10(lab.research_compute / start.research_compute[i])
                + self.data_gain(lab.data, start.data[i])
                + lab.knowledge
                - start.knowledge[i]
            )

    def data_seen(self, month: int, api_tokens: list[float]) -> list[float]:
        p, found = self.p, []
        for i, lab in enumerate(self.labs):
            where = "cn" if lab.bloc == CHINA else "us" if lab.bloc == US else "elsewhere"
            midpoint = p["capability.embodied.midpoint"] - (lab.bloc == CHINA) * p["capability.embodied.china_lead"]
            late = (1970 + month / 12 - midpoint) / p["capability.embodied.spread"]
            machines = p[f"capability.embodied.ceiling.{where}"] / (1 + math.exp(-late))
            use = math.fsum(t for r, t in zip(self.releases, api_tokens) if r.lab == i)  # noqa: B905 (new releases)
            found.append(use + lab.compute_share * machines * p["capability.embodied.data"])
        return found

    def data_gain(self, data: float, reference: float) -> float:
        floor = self.p["capability.data_floor"]
        return self.p["capability.data_effect"] * math.log10((data + floor) / (reference + floor))

    def best(self, lab: int | None = None, *, only_open: bool = False) -> float:
        able = (r.capability for r in self.releases if lab in (None, r.lab) and (r.is_open or not only_open))
        return max(able, default=math.nan)

    def own_work(self, front: int, received: float) -> list[float]:
        pace = max(0.0, self.slope * self.policy.frontier / 12 - received)
        leader = self.labs[front].research_compute
        return [pace * (lab.research_compute / leader) ** self.p["capability.research_returns"] for lab in self.labs]

    def open_level(self, knowledge: list[float]) -> float:
        top, front, levels = self.best(), max(knowledge), [-math.inf]
        for i, k in enumerate(knowledge):
            able = self.best(i, only_open=True)
            if not math.isnan(able):
                levels.append(min(k, front - (top - able)))
        return max(levels)

    def novelty(self, month: int) -> list[float]:
        opened = [r for r in self.releases if r.is_open]
        record = max((r.capability for r in opened if r.month < month), default=math.inf)
        return [
            max([0.0, *(r.capability - record for r in opened if r.month == month and r.lab != i)])
            for i in range(len(self.labs))
        ]

    def gifts(self, novelty: list[float]) -> list[float]:
        found = []
        for i, new in enumerate(novelty):
            use = math.fsum(
                self.ecosystem[n]
                for n, line in enumerate(self.lines)
                if line.lab == i and line.current != NONE and self.releases[line.current].is_open
            )
            found.append(
                self.p["capability.novelty_effect"] * new + self.p["capability.outside_effect"] * math.log1p(use)
            )
        return found

    # 4. releases and openness

    def release(self) -> None:
        observed = evidence.price_changes(until=self.month) if self.replaying else ()
        for change in observed:
            if change.month == self.month:
                r = next(r for r in self.releases if r.names == change.model)
                before = (3 * r.input_price + r.output_price) / 4
                r.input_price, r.output_price = change.input_price, change.output_price
                r.posted = (3 * r.input_price + r.output_price) / 4
                r.cost_at_release *= r.posted / before
        record = [max((r.capability for r in self.releases if r.is_open == k), default=math.inf) for k in (False, True)]
        late = [r for r in self.releases if not r.is_open and r.opens_at <= self.month and self.may_publish(r)]
        made = self.observed() if self.replaying else [*self.decided(), *self.first_ones()]
        openers = {r.lab for r in late if self.lines[r.line].current_open == NONE}
        for r in made:
            last = self.lines[r.line].current
            openers |= {r.lab} if r.is_open and last != NONE and not self.releases[last].is_open else set()
        for r in late:
            line = self.lines[r.line]
            last = 0.0 if line.current_open == NONE else self.releases[line.current_open].degree
            r.degree, r.is_open = self.degree(self.labs[r.lab], last), True
            if line.current_open == NONE or self.releases[line.current_open].month < r.month:
                line.current_open = self.releases.index(r)
        for r in made:
            self.put_on_offer(r)
        self.leap = [0.0] * len(self.labs)
        for r in (*late, *made):
            self.leap[r.lab] = max(self.leap[r.lab], r.capability - record[r.is_open])
        for i in openers:
            self.labs[i].follows = False
        for i in sorted(openers) if not self.replaying else ():
            for lab in self.labs:
                if lab is not self.labs[i] and lab.bloc == self.labs[i].bloc and lab.openness == "as_line":
                    key = rng.stream_key(self.seed, f"follows:{self.labs[i].names}:{lab.names}", self.month)
                    lab.follows = lab.follows or float(rng.uniform(key, 0)) < self.p["openness.follow"]

    def may_publish(self, r: Row) -> bool:
        lab = self.labs[r.lab]
        return lab.active and r.capability <= self.policy.publish_limit[lab.bloc]

    @staticmethod
    def degree(lab: Row, last: float) -> float:
        return (last or DEGREES["open_weights"]) if lab.degree == "as_line" else DEGREES[lab.degree]

    def put_on_offer(self, r: Row) -> None:
        line = self.lines[r.line]
        for ended in (line, *(self.lines[n] for n in r.retires)):
            if ended.current != NONE:
                self.releases[ended.current].superseded = self.month
            ended.current = NONE
        self.releases.append(r)
        line.current, line.last_month = len(self.releases) - 1, self.month
        if r.is_open:
            line.current_open = line.current
        if self.handover is not None:
            line.next_month = self.month + self.interval(r.line, 0.0)

    def count(self, line: int) -> int:
        return sum(r.line == line for r in self.releases)

    def interval(self, n: int, elapsed: float) -> float:
        line, shape = self.lines[n], self.p["capability.release_spread"]
        scale = self.labs[line.lab].cadence / shape
        u = float(rng.uniform(rng.stream_key(self.seed, f"interval:{line.names}"), self.count(n)))
        tail = max(upper_gamma(shape, elapsed / scale), 1e-280) * (1 - u)
        low, high = 0.0, 1e4
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if upper_gamma(shape, middle) > tail else (low, middle)
        return max(elapsed, high * scale)

    def observed(self) -> list[Row]:
        found = []
        for seen in evidence.releases(until=self.until):
            if seen.month == self.month:
                names = [line.names for line in self.lines]
                retires = [names.index(f"{seen.lab}/{other}") for other in seen.retires]
                prices = (seen.input_price, seen.output_price)
                sold = seen.price_kind == "first_party" or not seen.open
                r = self.listed(names.index(f"{seen.lab}/{seen.line}"), seen.capability, prices, seen.degree, sold,
                                (seen.active_params_b, seen.total_params_b))  # fmt: skip
                r.names, r.retires, r.on_device = seen.model, retires, seen.on_device
                found.append(r)
        return found

    def first_ones(self) -> list[Row]:
        found = []
        for i, said in self.entries:
            line, capability = self.newest_line(i), self.best() - said.points_behind
            is_open = said.weights == "open" and capability <= self.policy.publish_limit[self.labs[i].bloc]
            size = (37.0, 671.0) if is_open else (math.nan, math.nan)
            prices = (said.price * 4 / 7, said.price * 16 / 7)
            degree = "open_weights" if is_open else "closed"
            found.append(self.listed(self.lines.index(line), capability, prices, degree, True, size))
        return found

    def listed(self, n: int, capability: float, prices: tuple, degree: str, sold: bool, size: tuple) -> Row:
        """Return a release that comes out at a list price, or at that of hosts where none is known."""
        lab, is_open = self.labs[self.lines[n].lab], degree != "closed"
        full = self.full_load(size[0], self.month) if is_open else math.nan
        over = self.over_cost(self.lines[n], DEGREES[degree]) if is_open else 1 / (1 - self.p["serving.closed_margin"])
        if math.isnan(prices[0]):
            prices = (4 * full * over / 7, 16 * full * over / 7)
        price = (3 * prices[0] + prices[1]) / 4
        return Row(
            names="", line=n, lab=self.lines[n].lab, month=self.month, superseded=FAR, is_open=is_open, opens_at=FAR,
            has_api=sold, on_device=False, capability=capability, inflation=lab.inflation, degree=DEGREES[degree],
            input_price=prices[0], output_price=prices[1], posted=price, wanted=price, wedge=0.0, price_over_cost=over,
            cost_at_release=price / over, full_load_cost=full, active_params=size[0], total_params=size[1], retires=(),
        )  # fmt: skip

    def over_cost(self, line: Row, degree: float) -> float:
        licence = self.p["serving.host.licence"] if degree == DEGREES["restricted_weights"] else 0.0
        return (1 + self.p["serving.host.transport"] / line.hosts) / (1 - licence)

    def decided(self) -> list[Row]:
        p, found = self.p, []
        for i, lab in enumerate(self.labs):
            follows = lab.follows
            for n, line in enumerate(self.lines):
                if line.lab != i or not line.next_month <= self.month or line.current == NONE:
                    continue
                last = self.releases[line.current]
                key = rng.stream_key(self.seed, f"release noise:{line.names}")
                noise = p["capability.release_noise"] * float(rng.normal(key, self.count(n)))
                capability = lab.potential + line.offset + noise
                if not capability - last.capability >= p["capability.minimum_step"]:
                    continue
                may = capability <= self.policy.publish_limit[lab.bloc]
                is_open = may and self.opens(n, last, capability, follows)
                follows = follows and last.is_open
                opens_at = self.month + int(lab.openness_delay) if may and lab.openness == "delayed" else FAR
                found.append(self.successor(lab, last, capability, is_open, opens_at))
        return found

    def opens(self, n: int, last: Row, capability: float, follows: bool) -> bool:
        i, lab = last.lab, self.labs[last.lab]
        if lab.openness == "open_if_behind":
            on_sale = [self.releases[line.current] for line in self.lines if line.current != NONE]
            rivals = [r.capability for r in on_sale if not r.is_open and r.lab != i and self.labs[r.lab].active]
            return max(rivals, default=-math.inf) - capability >= lab.openness_points
        if lab.openness == "open_if_short":
            return lab.load > 1
        if lab.openness == "profit_max":
            return self.profit_if(n, capability, is_open=True) > self.profit_if(n, capability, is_open=False)
        return {"as_line": last.is_open or follows, "open": True}.get(lab.openness, False)

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
            row.weight * math.fsum(row.sums[k][1] for k in own if k in row.sums) / row.total for row in trial.panel
        )

    def successor(self, lab: Row, last: Row, capability: float, is_open: bool, opens_at: int) -> Row:
        p, will_open = self.p, is_open or opens_at < FAR
        fall = self.cost_index(self.month) / self.cost_index(last.month)
        spent = p[f"serving.saving_spent.{'open' if is_open else 'closed'}"]
        growth = fall ** (-spent / max(p["serving.size_exponent"], 0.1))
        active, total = last.active_params * growth, last.total_params * growth
        if math.isnan(active) and will_open:
            active, total = 37.0, 671.0
        changes = {
            "names": "", "retires": (), "month": self.month, "superseded": FAR, "is_open": is_open,
            "opens_at": opens_at, "has_api": last.has_api or not is_open, "on_device": last.on_device and will_open,
            "capability": capability, "inflation": lab.inflation,
            "degree": self.degree(lab, last.degree) if is_open else 0.0,
            "cost_at_release": last.cost_at_release * fall ** (1 - spent),
            "full_load_cost": self.full_load(active, self.month) if will_open else math.nan,
            "active_params": active, "total_params": total,
        }  # fmt: skip
        return Row(**vars(last) | changes)

    # 5. serving cost and hosts

    def hour(self, month: int) -> float:
        trend = self.p["serving.gpu_price_growth"] ** max(0.0, self.years(self.until, month))
        return evidence.gpu_hour_price(min(month, self.until)) * trend

    def cost_index(self, month: int) -> float:
        return self.hour(month) / 2 / self.p["serving.efficiency_growth"] ** self.years(date(2025, 2), month)

    def full_load(self, active: float, month: int) -> float:
        size = (active / 37) ** self.p["serving.size_exponent"]
        return self.p["serving.base_cost"] * size * self.cost_index(month)

    def costs(self) -> None:
        """Note this month's costs, host prices and mixes of classes at every release."""
        p, hour, now = self.p, self.hour(self.month), self.cost_index(self.month)
        for r in self.releases:
            moved = now / self.cost_index(r.month)
            r.cost = r.cost_at_release * moved
            r.hours = (r.full_load_cost if r.is_open else r.cost_at_release) * moved / hour
            r.own = r.cluster = r.host_list = math.nan
            if r.is_open:
                r.own = r.full_load_cost * moved / p["serving.self_host.utilisation"]
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
        self.needs = [self.need(w) for w in self.users]

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
            elif lab.price_rule == "match_open" and any(r is one for one, _ in self.offers):
                nearly = (ask for able, ask in hosted if able >= r.perceived - p["pricing.match_points"])
                target = min(r.posted, max(r.cost, min(nearly, default=math.inf)))
            part = 1.0 if r.month == self.month else p["pricing.adjustment"]
            r.posted += part * (target - r.posted)

    def price_panel(self, valued: bool = True) -> list[Row]:
        """Return what every n-th workload would make of every offer, by line: all but the bill of list prices."""
        lam, step, found = self.p["demand.nest_dissimilarity"], max(1, len(self.users) // self.panel_rows), []
        for family in range(2):
            members = [w for w in range(len(self.users)) if (self.users[w].group >= 2) == family]
            own = [w for w in members[::step] if self.users[w].arrival <= self.month]
            here = math.fsum(self.users[w].weight for w in members if self.users[w].arrival <= self.month)
            scale = here / math.fsum(self.users[w].weight for w in own) if own else 0.0
            for w in own:
                user, need, lines = self.users[w], self.needs[w], {}
                usable = self.usable(w, at_home=False)
                for r, channel in usable:
                    fixed = self.liking(w, r, channel) - self.moving(w, r, channel)
                    fixed -= lam * math.log(sum(other.line == r.line for other, _ in usable))
                    charged = (1 - self.discount(r.lab)) * r.mix[user.kind] if channel == API else 0.0
                    base = 0.0 if channel == API else self.price(r, channel, user.kind, need)
                    value = self.labs[r.lab].adoption_value if valued else 0.0
                    member = Row(r=r, fixed=fixed, charged=charged, base=base, cost=r.mix[user.kind] * r.cost * (channel == API), value=value)
                    lines.setdefault(r.line, []).append(member)
                rest = [self.keeping(w), self.without(w)]
                found.append(Row(user=user, need=need, weight=user.weight * scale, lines=lines, rest=rest, lam=lam))
        return found

    @staticmethod
    def line_sums(row: Row, line: int, price: dict[int, float]) -> tuple[float, float, dict[int, float]]:
        """Return exp(lambda I) of a line, that times what its lab earns there, and that times tokens at list price."""
        odds, earned, tokens = [], [], []
        for one in row.lines[line]:
            paid = one.charged * price.get(id(one.r), 0.0) + one.base
            bill = math.log(1 + paid * row.need / row.user.pain)
            odds.append(math.exp((one.fixed - row.user.price_sensitivity * bill - row.top) / row.lam))
            x = row.need / (1 + paid * row.need / row.user.pain)
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

    def need(self, w: Row) -> float:
        now, until = self.years(date(2025, 1)), self.years(date(2025, 1), self.until)
        late, fade = max(0.0, now - until), self.p["demand.volume_growth_fade"]
        grown = min(now, until) + (late if fade == 0 else (1 - math.exp(-fade * late)) / fade)
        return w.need * self.p[f"demand.volume_growth.{CLASSES[w.kind]}"] ** grown

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
                bound = float(rng.uniform(rng.stream_key(self.seed, f"ban event:{ban.origin}"), w.organisation)) < ban.share
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
        """Return the utility of a release on a channel but for its bill and the cost of moving (eq. 30)."""
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
            total -= w.price_sensitivity * math.log(1 + self.own(w, "staff_cost") / w.pain)
        return total

    def bill(self, i: int, price: float) -> float:
        return self.users[i].price_sensitivity * math.log(1 + price * self.needs[i] / self.users[i].pain)

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
        surplus = w.pain / w.price_sensitivity * (math.log(total) + top - without)
        left = self.luck("choice", i) * total
        for odds, release, channel in options:
            left -= odds
            if left <= 0 and odds > 0:
                break
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
                w.tokens = wanted[i] = self.needs[i] / (1 + w.price * self.needs[i] / w.pain)
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

    def hand_over(self) -> None:
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
