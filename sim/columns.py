"""The register of the result tables: every column with its unit and meaning, in one place.

Recording, storage, the schema metadata of the Parquet files, `sim verify`, `sim export` and the documentation read
this file and no other.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOAT, TEXT, RUN, MONTH = "float64", "text", "int32", "month"


@dataclass(frozen=True)
class Column:
    """One column of a result table.

    Parameters
    ----------
    name : str
        Name in the file and in data frames.
    kind : {'float64', 'text', 'int32', 'month'}
        ``month`` is a month number in memory and the first of the month as a date in files and data frames.
    unit : str
        Unit in plain text; empty for text and keys.
    meaning : str
        One sentence a strategist understands.
    nullable : bool
        Whether a text may be missing; floats are NaN where missing.
    """

    name: str
    kind: str
    unit: str
    meaning: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One result table; `keys` (with `run` first) identify a row, `values` are what the run found."""

    name: str
    meaning: str
    keys: tuple[Column, ...]
    values: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Keys, then values, in file order."""
        return self.keys + self.values


def _share(name: str, meaning: str) -> Column:
    return Column(name, FLOAT, "share", meaning)


def _number(name: str, unit: str, meaning: str) -> Column:
    return Column(name, FLOAT, unit, meaning)


def _text(name: str, meaning: str, nullable: bool = False) -> Column:
    return Column(name, TEXT, "", meaning, nullable)


_RUN = Column("run", RUN, "", "Replicate number; replicate k of two scenarios shares its random numbers.")
_MONTH = Column("month", MONTH, "", "Calendar month, written as its first day.")
_LAB = _text("lab", "The lab that made the model.")
_BLOC = _text("bloc", "US, EU, CN or ROW.")

USD_MTOK, USD_MONTH, MTOK_MONTH, CHIPS, ECI = "USD/Mtok", "USD/month", "Mtok/month", "H100e", "ECI points"

_MARKET = (
    _share("open_workload_share", "Workloads on open-weight models, of those that use a model."),
    _share("open_token_share", "Tokens from open-weight models, whoever serves them."),
    _share("open_spend_share", "Spending on open-weight models, of all spending on tokens."),
    _share("chinese_open_workload_share", "Workloads on open-weight models of Chinese labs."),
    _share("chinese_open_token_share", "Tokens from open-weight models of Chinese labs."),
    _share("self_host_token_share", "Tokens that users generate on machines they run or rent themselves."),
    _number("closed_price", USD_MTOK, "Tokens-weighted price paid for closed models."),
    _number("open_price", USD_MTOK, "Tokens-weighted price paid for open models, hosts and self-hosting included."),
    _number(
        "price_at_eci_126",
        USD_MTOK,
        "Lowest list or host price of a model with capability 126 or more, old open ones too.",
    ),
    _number(
        "price_at_eci_140",
        USD_MTOK,
        "Lowest list or host price of a model with capability 140 or more, old open ones too.",
    ),
    _number("closed_margin", "1", "Revenue-weighted Lerner margin of closed models on the labs' own API."),
    _number(
        "pricing_pressure",
        "1",
        "1 - closed list prices / those in the twin world without open weights; missing in the history.",
    ),
    _share(
        "contestable_revenue_share",
        "Part of closed API revenue for which the user knows a good-enough cheaper open offer.",
    ),
    _number("hhi_tokens", "1", "Herfindahl index of the labs' token shares, 0 to 1."),
    _number("hhi_spend", "1", "Herfindahl index of the labs' spend shares, 0 to 1."),
    _number("gap_points", ECI, "Capability of the best closed model less that of the best open one."),
    _number("gap_months", "months", "Months since a closed model first had the best open model's capability."),
    _number("china_lag_months", "months", "Months since a US model first had the best Chinese model's capability."),
    _number("compute_us", CHIPS, "Accelerator stock of the United States."),
    _number("compute_cn", CHIPS, "Accelerator stock that Chinese labs can use."),
    _number("compute_cn_legal", CHIPS, "Chinese stock imported within the rules."),
    _number("compute_cn_diverted", CHIPS, "Chinese stock that got round the export controls."),
    _number("compute_cn_domestic", CHIPS, "Chinese stock of domestic make."),
    _number("compute_cn_rented", CHIPS, "Capacity abroad that Chinese labs rent."),
    _number("unmet_tokens", MTOK_MONTH, "Tokens wanted that neither the lab nor, for open weights, hosts could serve."),
    _number("total_tokens", MTOK_MONTH, "Tokens used in the whole market."),
    _number("total_spend", USD_MONTH, "What users pay: labs, hosts and own machines."),
    _number("spend_labs", USD_MONTH, "What users pay to labs for their own API."),
    _number("spend_hosts", USD_MONTH, "What users pay to hosts of open weights."),
    _number("spend_self_host", USD_MONTH, "Cost to users of running open weights themselves."),
    _number(
        "consumer_surplus",
        USD_MONTH,
        "Value to users over doing without; the level is uncalibrated, and harder ambitions count as a loss.",
    ),
    _number("twin_total_tokens", MTOK_MONTH, "Tokens used in the twin world without open weights."),
    _number("twin_total_spend", USD_MONTH, "What users pay in the twin world without open weights."),
    _number("twin_consumer_surplus", USD_MONTH, "Value to users over doing without, in the twin world."),
    _text(
        "equilibrium_status",
        "nash, local_only, multiple, not_converged, or not_checked for large moves; missing where none was solved.",
        True,
    ),
    _number("deviation_gain", "1", "Largest relative profit gain of a lab from leaving the prices that labs want."),
    _number("posted_deviation_gain", "1", "The same from leaving the prices that are posted, which follow slowly."),
)

_LABS = (
    _BLOC,
    _number("capability", ECI, "Capability of the lab's best model on offer."),
    _share("workload_share", "Workloads that use the lab's models, of those that use a model."),
    _share("token_share", "Tokens from the lab's models, whoever serves them."),
    _share("spend_share", "Spending on the lab's models, whoever serves them."),
    _number("revenue", USD_MONTH, "What the lab itself earns, through its own API."),
    _number("gross_profit", USD_MONTH, "Revenue less the cost of serving."),
    _number("research_compute", CHIPS, "Accelerators the lab uses for research and training."),
    _number("serving_load", CHIPS, "Accelerators that all tokens wanted from the lab's own API would keep busy."),
    _number("downloads_cumulative", "downloads", "Downloads of the lab's open weights so far."),
)

_OFFERS = (
    _number("open_weights", "1", "1 if the weights can be had, else 0."),
    _number("capability", ECI, "Capability of the release."),
    _number("list_price", USD_MTOK, "(3 input + output) / 4 of the list price; cost for own machines."),
    _number("marginal_cost", USD_MTOK, "Cost of serving one more million tokens."),
    _share("workload_share", "Workloads on this offer, of those that use a model."),
    _share("token_share", "Tokens through this offer."),
)

_SEGMENTS = (
    _number("workloads", "workloads", "Workloads of the group, whether they use a model or not."),
    _number("tokens", MTOK_MONTH, "Tokens the group uses."),
    _number("spend", USD_MONTH, "What the group pays for tokens, its own machines included."),
    _share("open_workload_share", "Workloads on open-weight models, of the group's that use a model."),
    _share("chinese_open_workload_share", "Workloads on Chinese open-weight models, of those that use a model."),
    _share("self_host_share", "Workloads served on the users' own machines, of those that use a model."),
    _share("outside_share", "Workloads that use no model, of all workloads of the group."),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("market", "The whole market, month by month.", (_RUN, _MONTH), _MARKET),
        Table("labs", "Each lab, month by month.", (_RUN, _MONTH, _LAB), _LABS),
        Table(
            "offers",
            "Each release on sale through each channel.",
            (
                _RUN,
                _MONTH,
                _LAB,
                _text("line", "The lab's product line."),
                _text("release", "Name of the model."),
                _text("channel", "lab_api, host, self_host or on_device."),
            ),
            _OFFERS,
        ),
        Table(
            "segments",
            "Each group of adopters in each bloc.",
            (_RUN, _MONTH, _text("group", "indie, startup, ordinary, regulated or public."), _BLOC),
            _SEGMENTS,
        ),
        Table(
            "panels",
            "What trackers and surveys of parts of the market would report.",
            (
                _RUN,
                _MONTH,
                _text("panel", "router, enterprise, downloads, capability, prices, compute, revenue or demand."),
                _text("series", "Name of the series as in evidence/observations.csv."),
            ),
            (_number("value", "as in evidence/observations.csv", "Value of the series in the month."),),
        ),
    )
}

# What the one-screen table and `sim diff` show; the standard questions of a strategist.
HEADLINES = (
    "open_workload_share",
    "open_token_share",
    "chinese_open_workload_share",
    "chinese_open_token_share",
    "self_host_token_share",
    "closed_price",
    "open_price",
    "gap_months",
    "gap_points",
    "pricing_pressure",
)
