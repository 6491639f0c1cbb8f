"""Quantities with units."""

from __future__ import annotations

import pytest

from sim.scenario.register import register
from sim.scenario.units import quantity


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("0.28 USD/Mtok", "USD/Mtok", 0.28),
        ("0.28USD/Mtok", "USD/Mtok", 0.28),
        ("0.00028 USD/ktok", "USD/Mtok", 0.28),
        ("280 USD/Btok", "USD/Mtok", 0.28),
        ("0.28 $/Mtok", "USD/Mtok", 0.28),
        ("0.28 USD per million tokens", "USD/Mtok", 0.28),
        ("0.28 USD / M tokens", "USD/Mtok", 0.28),
        ("300 kchips/year", "chips/year", 300_000),
        ("1.5 M chips/year", "chips/year", 1_500_000),
        ("1.5 million chips per year", "chips/year", 1_500_000),
        ("25 k chips/month", "chips/year", 300_000),
        ("5 %", "share", 0.05),
        ("5%", "share", 0.05),
        ("5\u00a0%", "share", 0.05),
        ("0.07 share", "share", 0.07),
        ("12 %/year", "share/year", 0.12),
        ("5 %/month", "1/month", 0.05),
        ("0.6 1/year", "1/month", 0.05),
        ("2 years", "months", 24),
        ("6 months", "years", 0.5),
        ("15.5 ECI points/year", "ECI points/year", 15.5),
        ("15.5 points/year", "ECI points/year", 15.5),
        ("2.5 utils", "utils", 2.5),
        ("0.6 H100e/chip", "H100e/chip", 0.6),
        ("10 M workloads", "workloads", 1e7),
        ("1.8 factor/year", "factor/year", 1.8),
        ("-3 utils", "utils", -3),
        ("-0 utils", "utils", 0),
        ("0e999999999 utils", "utils", 0),
        ("1e3 USD/month", "USD/month", 1000),
        ("12 k USD/year", "USD/month", 1000),
        ("4 points/point", "points/point", 4),
    ],
)
def test_a_quantity_is_turned_into_the_unit_of_the_parameter(text: str, unit: str, number: float):
    found = quantity(text, unit)
    assert found == number
    assert str(found) == str(float(number))  # -0 has become 0


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("5 USD", "USD/Mtok"),
        ("5 Mtok/USD", "USD/Mtok"),
        ("5 EUR/Mtok", "USD/Mtok"),
        ("5 chips", "chips/year"),
        ("5 chips/hour", "chips/year"),
        ("5 %", "1"),
        ("5 utils", "1"),
        ("80 %/year", "factor/year"),
        ("5 %", "utils"),
        ("5 %", "parts"),
        ("5 m", "months"),
        ("5 USD/Mtok/year", "USD/Mtok"),
        ("1e400 utils", "utils"),
        ("1e-400 utils", "utils"),
        ("1e300 k chips/year", "chips/month"),
        ("1e308 T tokens", "tokens"),
    ],
)
def test_a_quantity_of_another_kind_is_refused(text: str, unit: str):
    if text == "1e300 k chips/year":  # large, but a number
        assert quantity(text, unit) == pytest.approx(1e303 / 12)
        return
    with pytest.raises(ValueError, match=r"does not fit|too large|too small"):
        quantity(text, unit)


@pytest.mark.parametrize(
    "text", ["lots", "USD 5", "5", "1,000 chips/year", "0x1F", "22:30", "", "5 - 6 USD", "010 utils"]
)
def test_what_is_not_a_number_and_a_unit_is_no_quantity(text: str):
    assert quantity(text, "utils") is None


def test_every_unit_of_the_register_is_understood_as_itself():
    of = register()
    entries = [*of.parameters.values(), *of.lab_fields.values()]
    entries += [spec for lever in of.levers.values() for spec in lever.fields]
    for spec in entries:
        if not spec.choices and spec.unit != "1":
            assert quantity(f"0.25 {spec.unit}", spec.unit) == 0.25, spec.path
