"""The market: owner of the state and the only writer of it. `step()` is the timetable of a month (docs/model.md, 3)."""

from __future__ import annotations

import copy
from typing import Any

import mesa
import numpy as np

from sim.market import (
    bans,
    choosing,
    demand,
    entry,
    followed,
    observe,
    offering,
    opening,
    price_setting,
    resources,
    setup,
    supply,
    versions,
    worlds,
)
from sim.market.adopters import FAMILIES, Adopters, Developers, Enterprises, MonthView, looked_at
from sim.market.governments import GOVERNMENTS, LABS, WORLD, Government, Policy, World, owner_of
from sim.market.labs import HostMarket, Lab
from sim.market.mean_field import MeanField
from sim.market.nodes import draw_nodes
from sim.market.parts import at_once
from sim.market.population import developer_rows, draw_workloads
from sim.market.stages import accounts as accounts_stage
from sim.market.stages import compute, ledger
from sim.market.tables import LAB_API, NONE, ReleaseTable, UsageTable
from sim.months import format_month
from sim.record import Record
from sim.scenario.schema import BLOCS, GROUPS, NEVER, WITHHELD


class Market(mesa.Model):
    """The market for AI models, one month a step.

    Parameters
    ----------
    settings : Settings or Scenario
        Drawn numbers of one run (`Scenario.draw`); of a scenario, replicate `replicate` is drawn.
    replicate : int
        Which replicate to draw when `settings` is a scenario.
    twin : {'weights_withheld', 'never_developed'}, optional
        World without open weights to run beside this one from the hand-over on; it gives `pricing_pressure`.
    threads : int
        Threads for what touches every workload, and for the two families of nodes; they change no bit and pay from some
        200,000 workloads on.

    Attributes
    ----------
    month : int
        The month the next step will simulate.
    labs, lines, releases, workloads, usage : tables
        State as columns; agents are views of it.
    record : Record
        What has been observed so far.
    violations : list of str
        Identities that failed, with their month; empty in a valid run.

    Examples
    --------
    >>> market = sim.Market(sim.load_scenario("baseline"))
    >>> market.step()
    """

    def __init__(self, settings: Any, replicate: int = 0, *, twin: str | None = None, threads: int = 1):
        if hasattr(settings, "draw"):
            settings = settings.draw(replicate)
        super().__init__(rng=0)  # the model draws from sim.rng alone; Mesa's own stream is not used
        self.settings = settings
        self.threads = threads
        self.parameters = p = settings.parameters
        self.seed = settings.seed
        self.population_seed = settings.seed if settings.population_seed is None else settings.population_seed
        self.month = settings.start
        self.labs = setup.lab_table(settings.labs)
        self.lines = setup.line_table(self.labs)
        self.releases = ReleaseTable()
        self.evaluations = np.zeros(len(self.lines.lab))
        self.record = Record(settings.start, settings.end)
        self.violations: list[str] = []
        self.policy = resources.first_policy(p)
        self.reach: bans.Reach | None = None  # of the bans in force
        self.compute = resources.first_compute(p)
        self.compute_log: list[np.ndarray] = []
        self.revenue = float("nan")  # of all labs, averaged
        self.slope = p["capability.frontier_slope"]
        self.open_spillover = True  # False: open releases teach others nothing, for a counterfactual
        self.handover: supply.HandOver | None = None
        self.settled: dict[Any, Any] | None = None  # see `sim.market.settled`
        self.counterfactual: str | None = None  # set in a twin: what is withheld there
        self.twin_world = twin
        self.twin: Market | None = None
        self.scripted: list[supply.Made] = []
        self._make_agents()
        self.nodes = self._draw_nodes()
        self.draws = settings.population == "agents"
        self._draw_workloads()
        self.ledger = ledger.empty()  # of the last month simulated
        segments = len(GROUPS) * len(BLOCS)
        self.awareness = np.zeros((segments, len(self.labs.names)))
        self.buzz = np.zeros(len(self.labs.names))
        self.affinity = np.zeros((len(FAMILIES), len(self.labs.names)))
        self.ecosystem = np.zeros(len(self.lines.lab))
        self.downloads = np.zeros(len(self.lines.lab))
        self.downloads_before = np.zeros(len(self.labs.names))
        self.unmet_tokens = 0.0  # Mtok of the last month
        self.price_month: price_setting.PriceMonth  # of the last month simulated
        self.accounts: accounts_stage.Accounts  # of the last month simulated
        supply.spin_up(self)

    def _draw_nodes(self) -> MeanField:
        """Return the taste nodes; they go with the environment, so that another population meets the same prices."""
        table, state = draw_nodes(self.seed, self.settings.nodes, self.parameters, self.labs.names, self.lines.names)
        return MeanField(table, tuple(group.nodes for group in self.adopters), state, self.parameters)

    def _draw_workloads(self) -> None:
        """Draw the workloads; under mean-field the nodes stand for them."""
        if not self.draws:
            self.workloads, self.people = self.nodes.table, self.nodes.people
            return
        rows, p = self.settings.workloads, self.parameters
        self.workloads = draw_workloads(self.population_seed, rows, p, self.labs.names, self.lines.names, self.threads)
        self.workloads.arrival[:] = np.maximum(self.workloads.arrival, self.settings.start)
        self.people = choosing.people(self.workloads, self.threads)
        self.usage = UsageTable(
            release=np.full(rows, NONE, np.int32),
            channel=np.full(rows, LAB_API, np.int8),
            present=np.zeros(rows, bool),
            held=np.zeros(rows, np.float32),
            surplus=np.zeros(rows),
        )
        self.memory = followed.memory(self)

    def _make_agents(self) -> None:
        self.event_months = frozenset(event.date for event in self.settings.events)
        events: dict[str, list[Any]] = {owner: [] for owner in (*GOVERNMENTS, WORLD, LABS)}
        for event in self.settings.events:
            events[owner_of(event.lever, event.fields)].append(event)
        self.lab_agents = [Lab(self, row, events[LABS] + events[WORLD]) for row in range(len(self.labs.names))]
        self.governments = [Government(self, bloc, events[bloc]) for bloc in GOVERNMENTS]
        self.world = World(self, events[WORLD])
        self.hosts = HostMarket(
            self,
            transport=self.parameters["serving.host.transport"],
            licence=self.parameters["serving.host.licence"],
            fixed_cost=self.parameters["serving.host.fixed_cost"],
            growth=self.parameters["serving.host.fixed_cost_growth"],
        )
        rows, nodes = (_families(count, self.parameters) for count in (self.settings.workloads, self.settings.nodes))
        self.adopters: tuple[Adopters, ...] = (
            Developers(self, rows[0], nodes[0], self.parameters),
            Enterprises(self, rows[1], nodes[1], self.parameters),
        )

    @property
    def attached(self) -> supply.HandOver:
        """What the rules attach to; there is nothing before the end of the history."""
        if self.handover is None:
            raise RuntimeError("the history is still being replayed")
        return self.handover

    @property
    def replaying(self) -> bool:
        """Whether the month is part of the replayed history."""
        return self.month <= self.settings.history_until

    def step(self) -> None:
        """Simulate one month."""
        # 1. policy
        self.policy = self._policy()
        self.reach = bans.reach_month(self)
        self.labs = entry.labs_month(self)
        self.lines.offset, self.lines.next_month = entry.schedule(self)
        self.handover = entry.attached(self)
        # 2. compute
        self.revenue = resources.revenue_month(self)
        self.follow_compute(self.month)
        # 3. knowledge and capability
        self.slope = supply.slope_month(self)
        self.labs.data = supply.data_month(self, self.month)
        self.labs.knowledge, self.labs.potential = supply.capability_month(self)
        # 4. releases and openness
        made = self._coming_out()
        leaps = self._release(made)
        self.settled = {}
        # 5. serving cost and hosts
        costs = offering.serving_costs(self)
        self.keep_on_sale(costs)
        # 6. prices
        self.price_month = price_setting.prices_month(self, costs)
        self.releases.posted, self.releases.wanted = self.price_month.posted, self.price_month.wanted
        prices = offering.prices(self, costs)
        offers = offering.offers(self, prices)
        # 7. awareness
        self.awareness, self.buzz = demand.awareness_month(self, leaps)
        self.affinity = demand.affinity_month(self)
        # 8. choice
        view = demand.month_view(self, offers, prices, leaps)
        self._choose(view)
        # 9. usage
        self._apply_usage(demand.usage_month(self, view, costs, prices))
        # 10. ecosystem, downloads
        self.ecosystem = demand.ecosystem_month(self)
        self.downloads_before = observe.downloads_by_lab(self)
        self.downloads = demand.downloads_month(self)
        # 11. accounts
        self.accounts = demand.accounts_month(self, costs, prices)
        self._check_accounts()
        self.lines.hosts = offering.hosts_month(self, costs)
        # 12. observation
        self._step_twin(made)
        self._observe(view, costs, prices)
        self._end_month()

    def run(self) -> Record:
        """Simulate every month to the end of the horizon and return the record."""
        while self.month <= self.settings.end:
            self.step()
        return self.record

    def close(self) -> None:
        """Let go of the model: Mesa 3.3 keeps a reference to every model for its agents' numbers."""
        getattr(mesa.Agent, "_ids", {}).pop(self, None)
        if self.twin is not None:
            self.twin.close()

    def _policy(self) -> Policy:
        policy = self.policy
        if self.replaying:
            policy = resources.replayed_policy(policy, self.month)
        elif self.month == self.settings.history_until + 1:
            policy = resources.policy_after_history(policy, self.parameters)
        if self.month in self.event_months:
            for actor in (*self.governments, self.world, *self.lab_agents):
                policy = actor.act(policy, self.month)
        return policy

    def _choose(self, view: MonthView) -> None:
        """Let every family choose, and count the looks of developers at open weights (eq. 77)."""
        families = choosing.seen(view, self.adopters)
        looked = [self.nodes.choose(view, families, self.threads)]
        if self.draws:
            self.usage.present = self.people.arrival <= self.month
            developers, enterprises = (
                group.choices(self.people, self.usage, view, seen, counts=group is self.adopters[0])
                for group, seen in zip(self.adopters, families, strict=True)
            )
            found = at_once([*developers, *enterprises], self.threads)  # no family waits for the last part of another
            looked = found[: len(developers)]
        self.evaluations = looked_at(looked, view)  # the hub is where developers fetch weights

    def fork(self, world: str) -> Market:
        """Return a copy of the market that goes on without open weights; see `sim.market.worlds`."""
        shared = (self.workloads, self.people, self.settings, self.record, *self.nodes.fixed)
        copied: Market = copy.deepcopy(self, {id(one): one for one in shared})
        copied.counterfactual, copied.twin_world, copied.violations = world, None, []
        copied.open_spillover = world != NEVER
        worlds.close(copied, world)
        return copied

    def _coming_out(self) -> list[supply.Made]:
        """Return this month's releases; in a twin with withheld weights those of the world it is compared with.

        What a lab enters with takes the place of what its line would release by itself.
        """
        if self.counterfactual == WITHHELD:
            return worlds.withheld(self, self.scripted)
        entering = entry.entering(self)
        lines = {new.columns["line"] for new in entering}
        made = [new for new in supply.releases_month(self) if new.columns["line"] not in lines] + entering
        return made if self.counterfactual is None else worlds.withheld(self, made)

    def _step_twin(self, made: list[supply.Made]) -> None:
        """Simulate the month in the world without open weights."""
        if self.twin is not None:
            self.twin.scripted = made
            self.twin.step()
            self.violations += [f"{self.twin.counterfactual}: {v}" for v in self.twin.violations]
            self.twin.violations.clear()

    def _apply_usage(self, used: demand.Usage) -> None:
        """Write what was bought and served, and what it took of the labs' serving compute."""
        labs, self.ledger = self.labs, used.ledger
        labs.serving_load, labs.api_share, labs.load = used.needed, used.api_share, used.load
        self.unmet_tokens = used.unmet

    def _release(self, made: list[supply.Made]) -> np.ndarray:
        """Put releases on offer; return each lab's leap above the record of its kind [ECI points], (labs,) (eq. 31)."""
        leaps = np.zeros(len(self.labs.names))
        for change in supply.price_changes_month(self):
            self.change_price(change)
        records = supply.records(self)
        late = supply.late_weights(self)
        opened = supply.openings(self, made, late)
        rows = [self.publish_weights(*weights) for weights in late] + self.put_on_offer(made)
        for row in rows:
            lab, kind = self.releases.lab[row], int(self.releases.is_open[row])
            leaps[lab] = max(leaps[lab], self.releases.capability[row] - records[kind])
        self.labs.follows = supply.following(self, opened)
        self.lines.next_month = supply.next_release_months(self, made)
        return leaps

    def profit_if(self, lab: int, line: int, capability: float, is_open: bool) -> float:
        """Return what a lab would earn in the month if a release came out open or closed; see `sim.market.opening`."""
        return opening.profit_if(self, lab, line, capability, is_open)

    def put_on_offer(self, made: list[supply.Made]) -> list[int]:
        """Append releases, make them their lines' current ones, end the lines that they retire; return their rows."""
        lines, table = self.lines, self.releases
        rows = list(table.append([new.name for new in made], [new.columns for new in made])) if made else []
        for row, new in zip(rows, made, strict=True):
            line = new.columns["line"]
            for ended in (line, *new.retires):
                if lines.current[ended] != NONE:
                    table.superseded[lines.current[ended]] = self.month
                lines.current[ended] = NONE
            lines.current[line] = row
            if table.is_open[row]:
                lines.current_open[line], lines.published[line] = row, self.month
            lines.last_month[line] = table.month[row]
        return rows

    def publish_weights(self, row: int, degree: float) -> int:
        """Open the weights of a release that came out closed (eq. 35), on offer unless its line has newer ones."""
        self.releases.is_open[row] = True
        self.releases.degree[row] = degree
        line = self.releases.line[row]
        if self.lines.current_open[line] < row:
            self.lines.current_open[line] = row
        self.lines.published[line] = self.month
        return row

    def keep_on_sale(self, costs: offering.Costs) -> None:
        """Choose the older open weights that stay on sale where it is time to; see `sim.market.versions`."""
        self.lines.older = versions.older_weights(self, costs)

    def change_price(self, change: Any) -> None:
        """Replay a change of the list price of a release that is on offer."""
        row = self.releases.names.index(change.model)
        before = self.releases.list_price[row]
        self.releases.input_price[row] = change.input_price
        self.releases.output_price[row] = change.output_price
        self.releases.posted[row] = self.releases.list_price[row]
        self.releases.cost_at_release[row] *= self.releases.list_price[row] / before  # the margin is what is assumed

    def follow_compute(self, month: int) -> None:
        """Carry compute through one month; used for the months before the first step as well."""
        before, coming = self.compute, resources.inflow(self, month)
        self.compute = resources.compute_month(self, coming)
        self.labs.research_compute = resources.research_month(self)
        self.compute_log.append(self.labs.research_compute)
        broken = compute.violations(
            before,
            self.compute,
            retirement=self.parameters["compute.retirement"],
            legal_cap=coming.legal_cap,
            diversion_cap=self.policy.leakage * coming.unlicensed,
        )
        self.violations += [f"{format_month(month)}: {v}" for v in broken]

    def _observe(self, view: MonthView, costs: offering.Costs, prices: offering.Prices) -> None:
        """Write the month into the record; nobody looks at a counterfactual."""
        if self.counterfactual is None:
            if self.draws:
                self.memory.push(self.month, *followed.in_use(self))
            observe.record_month(self, view, costs, prices)

    def _check_accounts(self) -> None:
        self.violations += [f"{format_month(self.month)}: {v}" for v in accounts_stage.violations(self.accounts)]

    def _end_month(self) -> None:
        self.settled = None
        if self.month == self.settings.history_until:
            self.handover = supply.hand_over(self)
            self.labs.knowledge = self.handover.knowledge.copy()
            self.lines.offset, self.lines.next_month = supply.line_schedule(self)
            attached = price_setting.hand_over_prices(self, offering.serving_costs(self))
            self.releases.wanted, self.releases.wedge = attached.wanted, attached.wedge
            self.releases.price_over_cost = attached.price_over_cost
            if attached.status:
                self.record.write_market(self.month, equilibrium_status=attached.status)
            if self.twin_world is not None:
                self.twin = self.fork(self.twin_world)
                self.twin.month += 1
        self.month += 1
        self.running = self.month <= self.settings.end  # Mesa's own `run_model` stops here


def _families(count: int, parameters: Any) -> tuple[slice, slice]:
    """Return the rows of developers and of enterprises."""
    developers = developer_rows(count, parameters)
    return slice(0, developers), slice(developers, count)
