"""A made-up result with the shape of a real one: smooth paths plus noise from the counter hash, no model run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sim.months import parse_month
from sim.rng import normal, stream_key

SOURCES = ("legal", "diverted", "domestic", "rented")


def columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the columns of a frame as arrays, its dates as month numbers."""
    found = {name: frame[name].to_numpy() for name in frame.columns}
    return found | {"month": found["month"].astype("datetime64[M]").astype(np.int32)}


class MadeUp:
    """The attributes that figures read of a result; every frame can be changed by a test."""

    def __init__(
        self, runs: int = 32, start: str = "2023-07", hand_over: str = "2025-12", end: str = "2030-12", **names
    ):
        self.start, self.hand_over, self.end = parse_month(start), parse_month(hand_over), parse_month(end)
        self.months = np.arange(self.start, self.end + 1)
        self.runs = runs
        self.run = np.repeat(np.arange(runs), self.months.size)
        self.month = np.tile(self.months.astype("datetime64[M]").astype("datetime64[ns]"), runs)
        self.years = (self.months - parse_month("2023-07")) / 12
        self.market, self.labs = self._market(), self._labs()
        self.offers, self.segments, self.panels = self._offers(), self._segments(), self._panels()
        self.scenario: dict[str, Any] = {
            "horizon": {"start": start, "history_until": hand_over, "end": end},
            "events": [
                {"id": "h200-thaw", "date": "2026-03", "lever": "export_control", "tier": "H200", "quota": 4e5},
                {"id": "clouds", "date": "2027-06", "lever": "cloud_access", "bloc": "CN", "open": 0.5},
                {"id": "outside", "date": "2035-01", "lever": "cloud_access", "bloc": "CN", "open": 0.5},
            ],
        }
        scenario = {"name": "made-up", "title": "A made-up market", **names}
        self.manifest: dict[str, Any] = {
            "scenario": scenario,
            "seed": 1,
            "runs": runs,
            "model_version": "0.1.0",
            "result_id": "0123456789ab",
        }

    @property
    def tables(self) -> dict[str, dict[str, np.ndarray]]:
        """The frames as they stand, as tables of arrays with month numbers."""
        return {name: columns(getattr(self, name)) for name in ("market", "labs", "offers", "segments", "panels")}

    def walk(self, name: str, size: float) -> np.ndarray:
        """Return a random walk for each run, shape (runs, months), quiet until the hand-over."""
        steps = normal(stream_key(1, name), np.arange(self.runs * self.months.size)).reshape(self.runs, -1)
        loud = np.where(self.months > self.hand_over, 1.0, 0.25)
        return np.cumsum(steps * loud * size, axis=1)

    def share(self, name: str, begin: float, finish: float) -> np.ndarray:
        """Return a share that moves from `begin` to `finish` over seven years, shape (runs, months)."""
        low, high = (np.log(share / (1 - share)) for share in (begin, finish))
        logit = low + (high - low) * self.years / 7.5
        return 1 / (1 + np.exp(-(logit + self.walk(name, 0.08))))

    def path(self, name: str, begin: float, factor: float, size: float = 0.03) -> np.ndarray:
        """Return a quantity that grows by `factor` a year, shape (runs, months)."""
        return begin * factor**self.years * np.exp(self.walk(name, size))

    def _market(self) -> pd.DataFrame:
        open_workloads = self.share("open", 0.2, 0.38)
        open_tokens = self.share("open", 0.12, 0.5)
        cheap126 = self.path("p126", 20, 0.3)
        cheap126[:, self.years < 0.2] = np.nan
        cheap140 = self.path("p140", 120, 0.3)
        cheap140[:, self.years < 1.5] = np.nan
        us, cn = self.path("us", 4e5, 2.4), 0.0
        columns = {
            "open_workload_share": open_workloads,
            "open_token_share": open_tokens,
            "open_spend_share": open_tokens * 0.3,
            "chinese_open_workload_share": open_workloads * self.share("cn", 0.1, 0.75),
            "chinese_open_token_share": open_tokens * self.share("cn", 0.1, 0.8),
            "self_host_token_share": self.share("self", 0.05, 0.16),
            "closed_price": self.path("closed", 9, 0.6),
            "open_price": self.path("open price", 1.1, 0.55),
            "price_at_eci_126": cheap126,
            "price_at_eci_140": cheap140,
            "gap_points": 8 + self.walk("gap", 0.8),
            "gap_months": 6 + self.walk("gap", 0.5),
            "china_lag_months": 8 + self.walk("lag", 0.5),
            "compute_us": us,
            "pricing_pressure": np.where(self.months > self.hand_over, 0.05 + self.walk("pressure", 0.02), np.nan),
        }
        for source, begin, growth in zip(SOURCES, (2.5e5, 3e4, 4e4, 2e4), (1.25, 1.7, 2.0, 1.9), strict=True):
            columns[f"compute_cn_{source}"] = self.path(source, begin, growth, 0.05)
            cn = cn + columns[f"compute_cn_{source}"]
        columns["compute_cn"] = cn
        columns["total_tokens"] = self.path("tokens", 1e9, 3)
        frame = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
        frame.insert(0, "month", self.month)
        frame.insert(0, "run", self.run)
        return frame

    def _labs(self) -> pd.DataFrame:
        return self._rows(
            [
                {"lab": lab, "bloc": bloc, "capability": self._capability(lab)}
                for lab, bloc in (("OpenAI", "US"), ("Meta", "US"), ("DeepSeek", "CN"), ("Mistral", "EU"))
            ]
        )

    def _capability(self, lab: str) -> np.ndarray:
        head = {"OpenAI": 126, "Meta": 113, "DeepSeek": 112, "Mistral": 110}[lab]
        steps = np.floor(self.years * 3) / 3
        return head + 11 * steps * {"DeepSeek": 1.08}.get(lab, 1.0) + np.floor(self.walk(lab, 0.7))

    def _offers(self) -> pd.DataFrame:
        rows = []
        for lab, opened, channel in (
            ("OpenAI", 0.0, "lab_api"),
            ("Meta", 1.0, "host"),
            ("DeepSeek", 1.0, "lab_api"),
            ("DeepSeek", 1.0, "self_host"),
            ("Mistral", 0.0, "lab_api"),
        ):
            rows.append(
                {
                    "lab": lab,
                    "line": "flagship",
                    "release": "one",
                    "channel": channel,
                    "open_weights": opened,
                    "capability": self._capability(lab),
                }
            )
        return self._rows(rows)

    def _segments(self) -> pd.DataFrame:
        rows = []
        for group in ("indie", "regulated"):
            for bloc, level in (("US", 0.3), ("EU", 0.36), ("CN", 0.72), ("ROW", 0.5)):
                rows.append(
                    {
                        "group": group,
                        "bloc": bloc,
                        "workloads": 100.0,
                        "outside_share": 0.2,
                        "open_workload_share": self.share(group + bloc, 0.2, level),
                        "self_host_share": self.share("self " + group + bloc, 0.06, 0.2),
                    }
                )
        return self._rows(rows)

    def _panels(self) -> pd.DataFrame:
        series = {
            ("router", "open_token_share"): self.share("router", 0.06, 0.75),
            ("router", "chinese_open_token_share"): self.share("router cn", 0.02, 0.6),
            ("router", "mean_price_paid:closed"): self.path("router closed", 3, 0.8),
            ("router", "mean_price_paid:open"): self.path("router open", 0.5, 0.7),
            ("enterprise", "open_workload_share"): self.share("enterprise", 0.19, 0.05),
            ("enterprise", "chinese_open_workload_share"): self.share("enterprise cn", 0.004, 0.02),
            ("capability", "open_lag_months"): 4 + self.walk("gap", 0.5),
            ("enterprise", "lab_workload_share:Meta"): self.share("meta", 0.16, 0.05),
        }
        return self._rows([{"panel": key[0], "series": key[1], "value": values} for key, values in series.items()])

    def _rows(self, entries: list[dict[str, Any]]) -> pd.DataFrame:
        """Return one row for each entry, run and month; arrays of shape (runs, months) are flattened."""
        frames = []
        for entry in entries:
            flat = {key: value.ravel() if isinstance(value, np.ndarray) else value for key, value in entry.items()}
            frames.append(pd.DataFrame({"run": self.run, "month": self.month, **flat}))
        return pd.concat(frames, ignore_index=True)
