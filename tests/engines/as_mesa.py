"""Choices as Mesa agents: one a workload, which looks and chooses in `step()`; the model shuffles them every month.

Two kinds, in plain Python and with small arrays; the benchmark takes the faster. Both hold what never changes in
attributes, and read the month from lists or arrays that the model makes once. Uniforms are drawn for all beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log1p
from typing import Any

import mesa
import numpy as np

from sim import rng
from sim.market.kernels.draws import STAY, WITHOUT
from sim.market.kernels.month import BLOCS, CHANNELS, CN
from sim.market.tables import LAB_API, NONE, SELF_HOST, Floats, UsageTable

from .moment import Moment, Outcome


class Month:
    """A month as the agents of a family see it: tables as lists for plain Python, and arrays for small ones."""

    def __init__(self, now: Moment, group: Any, seen: Any):
        offered, standing, rules = seen
        view, key = now.view, rng.stream_key
        houses = np.arange(now.market.workloads.organisation.max() + 1)
        self.month, self.review = view.month, float(rules.review)
        self.review_draw = rng.uniform(key(view.seed, "review", view.month), houses).tolist()
        self.upgrade_draw = rng.uniform(key(view.seed, "upgrade", view.month), houses).tolist()
        self.choice_draw = rng.uniform(key(view.seed, "choice", view.month), np.arange(group.rows.stop)).tolist()
        self.need, self.pain, self.rise = rules.need.tolist(), rules.pain.tolist(), rules.rise.tolist()
        self.relief, self.width, self.lam = rules.relief, rules.success_width, rules.dissimilarity
        self.staff_cost, self.without_cost = rules.staff_cost, rules.without_ai_cost
        self.device_limit, self.adoption_cost = rules.device_limit, rules.adoption_cost
        self.switching_cost, self.upgrade_cost = rules.switching_cost, rules.upgrade_cost
        self.used_cost = rules.switching_cost * (1.0 - rules.multi_home_discount)
        consideration = rules.consideration[:, : len(rules.lab_bloc)]
        self.home_fit, self.consideration = rules.home_fit.tolist(), consideration.tolist()
        self.consideration_of = consideration.astype(float)
        self.lab, self.lab_bloc = standing.lab.tolist(), rules.lab_bloc.tolist()
        self.line, self.is_open, self.degree = (
            standing.line.tolist(),
            standing.is_open.tolist(),
            standing.degree.tolist(),
        )
        self.capability, self.upgrade = standing.capability.tolist(), standing.upgrade.tolist()
        self.runs, self.column, self.sells = standing.runs.tolist(), offered.column.tolist(), rules.sells.tolist()
        self.newest, self.place = standing.newest.tolist(), offered.place.tolist()
        self.price, self.cluster = standing.price.tolist(), standing.cluster.tolist()
        self.appeal, self.strength = standing.appeal.tolist(), rules.strength.tolist()
        self.ban_level, self.channel_control = rules.ban_level.tolist(), rules.channel_control.tolist()
        self.channel_exposure = rules.channel_exposure.tolist()
        self.used = view.used[:, : len(rules.lab_bloc)]
        self.sold, self.allowed, self.off_device = rules.sold.tolist(), rules.allowed.tolist(), int(rules.off_device)
        self.release, self.channel = offered.release.tolist(), offered.channel.tolist()
        self.lines = [
            [self._line(offered, kind, number) for number in range(len(offered.line))]
            for kind in range(len(offered.price))
        ]
        # arrays over offers
        of_line = offered.nest[offered.option]
        self.first_older = len(offered.nest)
        self.first, self.option = offered.first[:-1], offered.option
        self.offer_line, self.offer_lab = offered.line[of_line], offered.lab[of_line]
        self.offer_bloc = offered.lab_bloc[of_line]
        self.bit = self.offer_bloc * CHANNELS + offered.channel
        self.prices, self.capabilities = offered.price.astype(float), offered.capability.astype(float)
        self.clusters, self.own = offered.cluster.astype(float), offered.channel == SELF_HOST
        self.appeals, self.controls = offered.appeal.astype(float), offered.control.astype(float)
        self.exposures, self.opens = offered.exposure.astype(float), offered.is_open.astype(float)
        self.home_fits = rules.home_fit

    @staticmethod
    def _line(offered: Any, kind: int, number: int) -> tuple[Any, ...]:
        """Return number, lab, its bloc and the options of a line, each a number and a list of its versions."""
        own = [
            (
                option,
                [
                    (
                        int(j),
                        int(offered.channel[j]),
                        float(offered.capability[kind, j]),
                        float(offered.price[kind, j]),
                        float(offered.cluster[j]),
                        float(offered.appeal[j]),
                        float(offered.control[j]),
                        float(offered.exposure[j]),
                        float(offered.is_open[j]),
                    )
                    for j in np.flatnonzero(offered.option == option)
                ],
            )
            for option in range(offered.first[number], offered.first[number + 1])
        ]
        return int(offered.line[number]), int(offered.lab[number]), int(offered.lab_bloc[number]), own


class Workload(mesa.Agent):
    """A workload that looks again when its time has come."""

    def __init__(self, model: Choices, month: Month, row: int):
        super().__init__(model)
        now, self.month, self.row = model.now, month, row
        table, reach = now.market.workloads, now.view.reach[row]
        self.house, self.kind, self.bloc = int(table.organisation[row]), int(table.kind[row]), int(table.bloc[row])
        self.segment, self.arrival = int(table.group[row]) * BLOCS + self.bloc, int(table.arrival[row])
        self.weight, self.need, self.pain = float(table.weight[row]), float(table.need[row]), float(table.pain[row])
        self.alpha, self.value = float(table.price_sensitivity[row]), float(table.value[row])
        self.difficulty, self.control = float(table.difficulty[row]), float(table.control_value[row])
        self.distrust, self.liking = float(table.distrust[row]), float(table.taste_open[row])
        self.reach, self.barred = reach.tolist(), bool(reach.any())
        self.keep_tastes(table.taste_line[row], table.taste_origin[row], table.attention[row])
        self.start()

    def keep_tastes(self, line: Floats, origin: Floats, attention: Floats) -> None:
        """Keep tastes as the kind of agent wants them."""
        self.taste, self.origin, self.attention = line.tolist(), origin.tolist(), attention.tolist()

    def start(self) -> None:
        """Use what was used last month."""
        usage = self.model.now.market.usage
        self.release, self.channel = int(usage.release[self.row]), int(usage.channel[self.row])
        self.surplus = float(usage.surplus[self.row])

    def step(self) -> None:
        """Look again if it is time, and choose."""
        m, r, c = self.month, self.release, self.channel
        if self.arrival > m.month:
            return
        review = m.review_draw[self.house] < m.review
        at_home = False
        if r == NONE:
            if not review and self.arrival != m.month:
                return
        elif not review and self.reach[m.lab_bloc[m.lab[r]]] < m.ban_level[c]:
            outdated = not m.newest[r][c]
            if m.runs[r][c] and not (outdated and m.upgrade_draw[self.house] < m.upgrade[r]):
                return
            at_home = m.sells[m.lab[r]]
        self.choose(m, at_home)

    def choose(self, m: Month, at_home: bool) -> None:
        """Look at the offers and take one."""
        raise NotImplementedError

    def may(self, m: Month, need: float) -> int:
        """Return the channels of each bloc's labs that are open to it, a bit each."""
        mask = m.sold[self.bloc]
        if self.barred:
            for bloc in range(BLOCS):
                mask &= m.allowed[bloc][self.reach[bloc]]
        return mask & m.off_device if need > m.device_limit else mask

    def kept(self, m: Month, rate: float, pain: float, staff: float) -> float:
        """Return the utility of staying with what it uses if that is no longer on offer, else minus infinity."""
        r, c = self.release, self.channel
        lab = m.lab[r]
        bloc = m.lab_bloc[lab]
        if m.column[r][c] != NONE or not m.runs[r][c] or self.reach[bloc] >= m.ban_level[c]:
            return -inf
        burden = m.price[c][self.kind][r] * rate
        if c == SELF_HOST:
            burden = max(burden, m.cluster[c][r] / pain)
        ahead = m.capability[r] + m.strength[lab][self.kind] - self.difficulty - m.rise[self.kind]
        worth = self.value / (1.0 + exp(-ahead / m.width)) + self.control * m.degree[r] * m.channel_control[c]
        if bloc == CN:
            worth -= self.distrust * m.relief * m.channel_exposure[c]
        worth += m.appeal[r][c] + self.taste[m.line[r]] + self.origin[bloc] + m.home_fit[self.bloc][bloc]
        worth += self.liking * m.is_open[r] - self.alpha * log1p(burden)
        return worth - staff if c == SELF_HOST else worth

    def take(self, m: Month, option: int) -> None:
        """Use what was chosen."""
        if option == WITHOUT:
            self.release, self.channel = NONE, LAB_API
        elif option != STAY:
            self.release, self.channel = m.release[option], m.channel[option]


class PlainWorkload(Workload):
    """Chooses in plain Python; of labs it does not know it looks at no offer."""

    def choose(self, m: Month, at_home: bool) -> None:
        kind, r, alpha, value = self.kind, self.release, self.alpha, self.value
        need, pain = self.need * m.need[kind], self.pain * m.pain[kind]
        rate, difficulty, distrust = need / pain, self.difficulty + m.rise[kind], self.distrust * m.relief
        staff, alone = alpha * log1p(m.staff_cost / pain), -alpha * log1p(m.without_cost * rate)
        may, own, here = self.may(m, need), NONE, NONE
        aware = [a < c for a, c in zip(self.attention, m.consideration[self.segment], strict=True)]
        looked = self.model.looked
        for lab, known in enumerate(aware):
            if known:
                looked[lab] += self.weight
        if r != NONE:
            own, here = m.lab[r], m.column[r][self.channel]
            used = m.used[self.house].tolist()
        highest = keep = self.kept(m, rate, pain, staff) if r != NONE else -inf
        place = NONE if r == NONE else m.place[r][self.channel]
        if place != NONE:
            highest = -inf
        seen = []
        for number, lab, bloc, options in m.lines[kind]:
            if lab != own and (at_home or not aware[lab]):
                continue
            if r == NONE:
                moving = m.adoption_cost
            elif lab == own:
                moving = m.upgrade_cost
            else:
                moving = m.used_cost if used[lab] else m.switching_cost
            liked = self.taste[number] + self.origin[bloc] + m.home_fit[self.bloc][bloc]
            found = []
            for option, versions in options:
                best, version = -inf, NONE
                for j, channel, capability, price, cluster, appeal, control, exposure, is_open in versions:
                    if not may >> (bloc * CHANNELS + channel) & 1:
                        break
                    worth = value / (1.0 + exp((difficulty - capability) / m.width)) + liked + appeal
                    worth += control * self.control - exposure * distrust + is_open * self.liking
                    burden = price * rate
                    if channel == SELF_HOST:
                        burden = max(burden, cluster / pain)
                        worth -= staff
                    worth -= alpha * log1p(burden) + (moving if j != here else 0.0)
                    if worth > best:
                        best, version = worth, j
                if version != NONE:
                    if option == place and keep > best:
                        best, version = keep, STAY
                    highest = max(highest, best)
                    found.append((version, best))
            if found:
                seen.append(found)
        keep = keep if place == NONE else -inf
        may_leave = not (at_home and highest > -inf)
        if may_leave:
            highest = max(highest, alone)
        total, lines = 0.0, []
        for found in seen:
            weights = [exp((worth - highest) / m.lam) for _, worth in found]
            inside = sum(weights)
            weight = (inside / len(weights)) ** m.lam
            total += weight
            lines.append((found, weights, inside, weight))
        stays = exp(keep - highest)
        whole = total + stays + (exp(alone - highest) if may_leave else 0.0)
        self.surplus = (highest + log1p(whole - 1.0) - alone) * pain / alpha
        self.take(m, self.point(lines, m.choice_draw[self.row] * whole, stays))

    @staticmethod
    def point(lines: list[Any], target: float, stays: float) -> int:
        """Return the option that a point in the running sum of weights falls on."""
        reached = 0.0
        for found, weights, inside, weight in lines:
            if reached + weight >= target:
                left, chosen = (target - reached) / weight * inside, WITHOUT
                for (j, _), own in zip(found, weights, strict=True):
                    if own > 0.0:
                        left, chosen = left - own, j
                        if left <= 0.0:
                            break
                return chosen
            reached += weight
        return STAY if stays > 0.0 and target <= reached + stays else WITHOUT


class ArrayWorkload(Workload):
    """Chooses with small NumPy arrays over all offers."""

    def keep_tastes(self, line: Floats, origin: Floats, attention: Floats) -> None:
        """Keep arrays."""
        self.taste, self.origin, self.attention = line.astype(float), origin, attention

    def choose(self, m: Month, at_home: bool) -> None:
        kind, r, alpha = self.kind, self.release, self.alpha
        need, pain = self.need * m.need[kind], self.pain * m.pain[kind]
        rate, difficulty = need / pain, self.difficulty + m.rise[kind]
        staff, alone = alpha * log1p(m.staff_cost / pain), -alpha * log1p(m.without_cost * rate)
        aware = self.attention < m.consideration_of[self.segment]
        self.model.looked += self.weight * aware
        may = (self.may(m, need) >> m.bit & 1) > 0
        keep = -inf
        if r == NONE:
            cost = np.full(len(aware), m.adoption_cost)
        else:
            own, keep = m.lab[r], self.kept(m, rate, pain, staff)
            cost = np.where(m.used[self.house], m.used_cost, m.switching_cost)
            cost[own] = m.upgrade_cost
            if at_home:
                aware[:] = False
            aware[own] = True
        worth = self.value / (1.0 + np.exp((difficulty - m.capabilities[kind]) / m.width))
        worth += self.taste[m.offer_line] + (self.origin + m.home_fits[self.bloc])[m.offer_bloc]
        worth += m.appeals + m.controls * self.control - m.exposures * (self.distrust * m.relief)
        worth += m.opens * self.liking - m.own * staff - cost[m.offer_lab]
        worth -= alpha * np.log1p(np.maximum(m.prices[kind] * rate, m.clusters / pain))
        if r != NONE and m.column[r][self.channel] != NONE:
            worth[m.column[r][self.channel]] += m.upgrade_cost
        worth[~(may & aware[m.offer_lab])] = -inf
        version = np.arange(m.first_older)
        worth, every = worth[: m.first_older], worth
        for j in range(m.first_older, len(every)):
            if every[j] > worth[m.option[j]]:
                worth[m.option[j]], version[m.option[j]] = every[j], j
        may = may[: m.first_older]
        place = NONE if r == NONE else m.place[r][self.channel]
        if place != NONE:
            if keep > worth[place] > -np.inf:
                worth[place], version[place] = keep, STAY
            keep = -inf
        highest = max(worth.max(), keep)
        may_leave = not (at_home and highest > -inf)
        if may_leave:
            highest = max(highest, alone)
        weight = np.exp((worth - highest) / m.lam)
        inside = np.add.reduceat(weight, m.first)
        chances = np.add.reduceat(may, m.first, dtype=float)
        lines = (inside / np.maximum(chances, 1.0)) ** m.lam
        reached = np.cumsum(lines)
        stays = exp(keep - highest)
        whole = reached[-1] + stays + (exp(alone - highest) if may_leave else 0.0)
        self.surplus = float(highest + np.log(whole) - alone) * pain / alpha
        target = m.choice_draw[self.row] * whole
        line = int(np.searchsorted(reached, target))
        if line == len(reached):
            self.take(m, STAY if stays > 0.0 and target <= reached[-1] + stays else WITHOUT)
            return
        first, end = m.first[line], (*m.first, len(weight))[line + 1]
        left = (target - (reached[line] - lines[line])) / lines[line] * inside[line]
        members = np.cumsum(weight[first:end])
        self.take(m, int(version[first + min(np.searchsorted(members, left), np.flatnonzero(weight[first:end])[-1])]))


class Choices(mesa.Model):
    """All workloads of a market at their choices, one agent each."""

    def __init__(self, now: Moment, kind: Callable[..., Workload]):
        super().__init__(rng=0)
        self.now = now
        for group, seen in now.families:
            month = Month(now, group, seen)
            for row in range(group.rows.start, group.rows.stop):
                kind(self, month, row)
        self.begin()

    def begin(self) -> None:
        """Go back to the start of the month."""
        self.looked = np.zeros(len(self.now.view.lab_bloc))
        for agent in self.agents:
            agent.start()

    def step(self) -> None:
        """Let everybody look, in random order."""
        self.agents.shuffle_do("step")

    def outcome(self) -> Outcome:
        """Return what they use."""
        usage, lines = UsageTable(**vars(self.now.market.usage)), self.now.view.lines
        agents = sorted(self.agents, key=lambda agent: agent.row)
        usage.release = np.array([agent.release for agent in agents], np.int32)
        usage.channel = np.array([agent.channel for agent in agents], np.int8)
        usage.surplus = np.array([agent.surplus for agent in agents])
        return Outcome(usage, np.where(lines.current_open != NONE, self.looked[lines.lab], 0.0))
