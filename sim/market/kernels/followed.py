"""What those do that panels follow from month to month: their weights, for sums, in the order of the rows."""

from __future__ import annotations

from sim.market.kernels.compiled import kernel
from sim.market.kernels.month import NONE


@kernel
def routed(first, last, release, channel, line, last_channel, found):
    """Write the line in use of rows on one of the first channels, `NONE` for all others."""
    for i in range(first, last):
        found[i] = line[release[i]] if (release[i] != NONE) & (channel[i] <= last_channel) else NONE


@kernel
def joined(first, last, weight, before, then, now, found):
    """Write the weights of who took up a line then, and of who of them is on it now; return how many of each.

    Parameters
    ----------
    before, then, now : array, shape (rows,)
        Lines in use, NONE for none.
    found : array, shape (2, last - first)
        What is written.
    """
    joins = stays = 0
    for i in range(first, last):
        takes = (then[i] != NONE) & (then[i] != before[i])
        found[0, joins] = found[1, stays] = weight[i]
        joins += takes
        stays += takes & (now[i] == then[i])
    return joins, stays


@kernel
def moved(first, last, weight, lab, then, now, found):
    """Write the weights of who used a release then and uses one now, of who of them changed vendor, and of who took
    another release of the same vendor; return how many of each.

    Parameters
    ----------
    lab : array, shape (releases,)
        Their vendors.
    then, now : array, shape (rows,)
        Releases in use, NONE for none.
    found : array, shape (3, last - first)
        What is written.
    """
    users = switches = upgrades = 0
    for i in range(first, last):
        uses = (then[i] != NONE) & (now[i] != NONE)
        switched = uses & (lab[then[i]] != lab[now[i]])
        found[0, users] = found[1, switches] = found[2, upgrades] = weight[i]
        users += uses
        switches += switched
        upgrades += uses & (then[i] != now[i]) & (not switched)
    return users, switches, upgrades
