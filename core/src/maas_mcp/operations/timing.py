"""Time limits and pauses of operations, which tests can replace."""

from dataclasses import dataclass

from maas_mcp.errors import MaasError


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times in seconds. ``Cadence`` has the polling intervals, and ``maas.limits`` the timeouts of single requests."""

    start_grace: float = 60.0
    """For a started operation to appear in MAAS. A proxy may have returned 504 while MAAS continued."""
    answered_grace: float = 4.0
    """The same after MAAS itself reported an error: it has stopped, and any effect is visible."""
    sharing: float = 0.05
    """Between two requests for the same kind of read. Reads requested in between are combined into one."""
    refusal_window: float = 2.0
    """For MAAS to refuse a request, even if the call waits less: a refusal comes at once, and the call reports it."""
    withdraw_limit: float = 1.0
    """For closing the connection of a cancelled request."""
    slot_notice: float = 0.5
    """Until a request that waits for a free slot is reported as waiting."""
    stale: float = 5.0
    """Maximum age of a machine's last read when a request is sent for it; otherwise it is read again."""
    settling: float = 10.0
    """For a change to appear. MAAS's own response still has the previous status or power state."""
    between_reads: float = 2.0
    """Between two reads of a machine that should show a change."""
    abort_limit: float = 10.0
    """For an abort after a cancellation. MAAS powers the machine off before it responds."""
    abort_again: float = 1.0
    """Between two checks of an operation to abort or an allocation to release."""
    last_poll: float = 30.0
    """For the last poll at the deadline."""
    outage_limit: float = 300.0
    """Outage of MAAS after which an operation is no longer followed; configurable in the settings."""
    outage_pause: float = 5.0
    """Between two attempts while MAAS does not respond."""
    refusal_pause: float = 1.0
    """Until a refused request is repeated once: a single refusal may come from a proxy or be momentary."""
    region_fast_phase: float = 10.0
    """How long a new operation of the region is polled at the fast interval: it may be short."""
    region_fast_interval: float = 0.5
    """The fast interval."""
    region_start_interval: float = 2.0
    """Between two polls of a region operation that has not been seen running since."""
    allocation_silence: float = 300.0
    """Outage after which a lost allocation is given up."""
    release_limit: float = 60.0
    """For releasing machines that a batch allocated needlessly."""
    allocation_uncertain: float = 15.0
    """During which MAAS may still carry out an allocation whose call was cancelled."""
    batch_abort_limit: float = 50.0
    """For a call to wait for the aborts of a batch, which continue without it. Clients give up after 60 s."""
    batch_abort_again: float = 2.0
    """Between two checks of machines whose requests MAAS has not answered yet."""
    batch_abort_settled: float = 10.0
    """After which the server alone waits for requests that MAAS has not answered yet."""
    batch_abort_silence: float = 60.0
    """Outage after which the abort of a batch is given up: a region restart takes as long."""

    def grace_after(self, error: MaasError) -> float:
        """Return how long the effect of a failed request may take to appear."""
        return self.answered_grace if error.answered else self.start_grace
