"""The supply side of the plain month of `twin.py`: policy, accelerators, knowledge, releases."""

from __future__ import annotations

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
        for n in range(1, 200):
            term *= x / (a + n)
            total += term
        return 1 - scale * total
    fraction = 0.0
    for n in range(200, 0, -1):
        fraction = n * (n - a) / (x + 2 * n + 1 - a - fraction)
    return scale / (x + 1 - a - fraction)


class Supply:
    """The market before a month, and stages 1 to 4."""

    def __init__(self, market: Any):
        settings = market.settings
        self.p, self.events = market.parameters, settings.events
        self.start, self.until, self.month = settings.start, settings.history_until, market.month
        self.seed, self.population_seed = market.seed, market.population_seed
        self.option_noise = settings.noise == "options"
        self.labs, self.lines, self.releases = rows(market.labs), rows(market.lines), rows(market.releases)
        self.people(market)
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

    def people(self, market: Any) -> None:
        """Note workloads and taste nodes, the latter with their shares of every state."""
        self.users = rows(market.workloads, market.usage) if market.draws else []
        self.nodes, of = rows(market.nodes.table), market.nodes
        self.states = [*zip(of.release.tolist(), of.channel.tolist(), strict=True)]
        for n, node in enumerate(self.nodes):
            node.shares, node.point = of.mass[:, n].tolist(), float(of.quantile[n])
            node.premium = of.premium[:, n].tolist()
            node.present, node.surplus = float(of.present[n]), float(of.surplus[n])
            node.release, node.channel = (int(column[n]) for column in of.stands)
        for w in self.users:
            w.is_node, w.seed = False, self.population_seed
        for node in self.nodes:
            node.is_node, node.seed = True, self.seed

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
            policy.promotions += [
                Row(lab=i, discount=said.discount, month=self.month, months=said.months) for i in meant
            ]
        elif lever == "openness_change":
            for lab in labs:
                for name, column in (
                    ("points", "openness_points"),
                    ("delay_months", "openness_delay"),
                    ("degree", "degree"),
                    ("openness", "openness"),
                ):
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
            best = [max((r.capability for r in current if r.is_open == k), default=-math.inf) for k in (False, True)]
            if lab.active and best[True] > best[False]:
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
        r.index_at_release = self.cost_index(r.month)
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
        low, high = 0.0, 1e3
        for _ in range(64):
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
            found[-1].of_open_line = said.weights == "open"
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
            of_open_line=is_open, has_api=sold, on_device=False, capability=capability, inflation=lab.inflation,
            degree=DEGREES[degree], input_price=prices[0], output_price=prices[1], posted=price, wanted=price,
            wedge=0.0, price_over_cost=over, cost_at_release=price / over, full_load_cost=full, active_params=size[0],
            total_params=size[1], retires=(),
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

    def successor(self, lab: Row, last: Row, capability: float, is_open: bool, opens_at: int) -> Row:
        p, will_open = self.p, is_open or opens_at < FAR
        fall = self.cost_index(self.month) / self.cost_index(last.month)
        spent = p[f"serving.saving_spent.{'open' if last.of_open_line else 'closed'}"]
        growth = fall ** (-spent / max(p["serving.size_exponent"], 0.1))
        active, total = last.active_params * growth, last.total_params * growth
        if math.isnan(active) and will_open:
            active, total = 37.0, 671.0
        changes = {
            "names": "", "retires": (), "month": self.month, "superseded": FAR, "is_open": is_open,
            "opens_at": opens_at, "has_api": last.has_api or not is_open,
            "on_device": last.on_device and will_open and total <= p["serving.on_device_size"],
            "capability": capability, "inflation": lab.inflation,
            "degree": self.degree(lab, last.degree) if is_open else 0.0,
            "cost_at_release": last.cost_at_release * fall ** (1 - spent),
            "wanted": last.wanted * fall**-spent,
            "full_load_cost": self.full_load(active, self.month) if will_open else math.nan,
            "active_params": active, "total_params": total,
        }  # fmt: skip
        return Row(**vars(last) | changes)

    def hour(self, month: int) -> float:
        trend = self.p["serving.gpu_price_growth"] ** max(0.0, self.years(self.until, month))
        return evidence.gpu_hour_price(min(month, self.until)) * trend

    def cost_index(self, month: int) -> float:
        return self.hour(month) / 2 / self.p["serving.efficiency_growth"] ** self.years(date(2025, 2), month)

    def full_load(self, active: float, month: int) -> float:
        size = (active / 37) ** self.p["serving.size_exponent"]
        return self.p["serving.base_cost"] * size * self.cost_index(month)
