"""Taste nodes in the plain month of `twin.py`: shares of each flow between states, each state on its own."""

from __future__ import annotations

import math
from itertools import accumulate
from types import SimpleNamespace as Row

from .twin_choice import Choice
from .twin_supply import NONE, date


class Nodes(Choice):
    """What part of a node there is, who of it looks, and where it is afterwards."""

    def lookers(self, node: Row, share: float, fresh: float) -> list[tuple[bool, float]]:
        """Return which parts of a share of a node look, as pairs of whether only at the vendor's offers, and part."""
        hazard = self.review_hazard(node)
        if node.release == NONE:
            return [(False, (share - fresh) * hazard + fresh)]
        r = self.releases[node.release]
        if self.barred(node, r, node.channel):
            return [(False, share)]
        vendor = self.upgrade_hazard(r, node.channel) if self.runs(r, node.channel) else 1.0
        return [(False, share * hazard), (self.sold_at_all(r.lab), share * (1 - hazard) * vendor)]

    def arrived(self, node: Row) -> float:
        """Return the part of a node that is in the market: newcomers after 2025, the others up to its end."""

        def reached(month: int) -> float:
            years = 1970 + (min(month, date(2040, 12)) + 1) / 12
            return 1 / (1 + math.exp(-(years - self.p["demand.arrival_midpoint"]) / self.p["demand.arrival_spread"]))

        now, then = reached(self.month), reached(date(2025, 12))
        return max(0.0, now - then) / then if node.arrival > date(2025, 12) else min(now, then) / then

    def choose_for_nodes(self) -> None:
        """Move the shares of nodes: those who look flow from the state they are in to what they choose from there."""
        self.follow_states()
        for node in self.nodes:
            before, node.present = node.present, self.arrived(node)
            fresh = node.present - before
            node.shares[0] += fresh
            come, leave, menu = dict.fromkeys(self.states, 0.0), dict.fromkeys(self.states, 0.0), self.menu(node)
            looked = gained = 0.0
            for state, share in zip(self.states, node.shares, strict=True):
                node.release, node.channel = state
                for at_home, part in self.lookers(node, share, fresh) if share > 0 else ():
                    if part > 0:
                        options, gain = self.options(node, menu, at_home=at_home)
                        total = math.fsum(odds for odds, _, _ in options)
                        for odds, release, channel in options:
                            if odds > 0:
                                come[release, channel] += part * odds / total
                        leave[state] += part
                        looked += part
                        gained += part * gain
            if not self.users:
                self.evaluate(node, node.weight * looked)
            self.carry(node, come, leave, fresh, gained / looked if looked > 0 else 0.0)
            node.shares = [max(0.0, n + come[at] - leave[at]) for at, n in zip(self.states, node.shares, strict=True)]
            for number, (release, channel) in enumerate(self.states[1:], 1):
                if not self.runs(self.releases[release], channel):
                    for held in (node.shares, node.premium):
                        held[0] += held[number]
                        held[number] = 0.0
            node.surplus = math.fsum(node.premium)
            for state, share in zip(self.states, node.shares, strict=True):
                node.surplus += share * self.gain_of(node, state) if share > 0.0 else 0.0
            node.surplus *= node.pain_now / node.price_sensitivity
            self.stand(node)

    def gain_of(self, node: Row, state: tuple[int, int]) -> float:
        """Return the utility of a state over doing without."""
        release, channel = state
        return 0.0 if release == NONE else self.worth(node, self.releases[release], channel) - self.without(node)

    def carry(self, node: Row, come: dict, leave: dict, fresh: float, each: float) -> None:
        """Let who leaves a state take its part of the premium along, and who comes bring what a look is worth."""
        for n, state in enumerate(self.states):
            new = fresh if state[0] == NONE else 0.0  # who has come holds none yet
            if node.shares[n] - new > 0:
                node.premium[n] *= 1 - (leave[state] - new) / (node.shares[n] - new)
            node.premium[n] += come[state] * (each - self.gain_of(node, state)) if come[state] > 0 else 0.0

    def follow_states(self) -> None:
        """Drop states that next to nobody uses, whose users go on in the line, and add those of new offers."""
        least, offered = 1e-4 * math.fsum(node.present for node in self.nodes), {(r.number, c) for r, c in self.offers}
        sums = [math.fsum(shares) for shares in zip(*(node.shares for node in self.nodes), strict=True)]
        keeps = [n == 0 or sums[n] > least or state in offered for n, state in enumerate(self.states)]
        kept = [n for n, stays in enumerate(keeps) if stays]
        new = sorted(offered - {self.states[n] for n in kept})
        for n in (n for n, stays in enumerate(keeps) if not stays):
            heir = self.heir(self.states[n], [self.states[k] for k in kept[1:]])
            for node in self.nodes:
                for held in (node.shares, node.premium):
                    held[self.states.index(heir)] += held[n]
        for node in self.nodes:
            for name in ("shares", "premium"):
                setattr(node, name, [*(getattr(node, name)[n] for n in kept), *[0.0] * len(new)])
        self.states = [self.states[n] for n in kept] + new

    def heir(self, given_up: tuple[int, int], kept: list[tuple[int, int]]) -> tuple[int, int]:
        """Return the state of the next newer release of the line on the channel, of the last one before, or none."""
        release, channel = given_up
        own = [r for r, c in kept if c == channel and self.releases[r].line == self.releases[release].line]
        newer = [r for r in own if r > release]
        return (min(newer), channel) if newer else (max(own), channel) if own else self.states[0]

    def stand(self, node: Row) -> None:
        """Let one state stand for a node when prices are set: the one at the node's own point."""
        sums = [*accumulate(node.shares)][:-1]
        node.release, node.channel = self.states[sum(n < node.point * node.present for n in sums)]
