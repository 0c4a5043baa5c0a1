"""How long operations wait for what, such as an abort after a cancel; a test can run on other times."""

from dataclasses import dataclass

from maas_mcp.errors import MaasError


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times in seconds. When MAAS is polled is the ``Cadence``'s; how long one request may take, ``maas.limits``'s."""

    start_grace: float = 60.0
    """For a started operation to show in MAAS. A proxy may have answered 504 while MAAS went on."""
    answered_grace: float = 4.0
    """The same where MAAS itself has answered that the request failed: it is no longer at it, and what it did shows."""
    sharing: float = 0.05
    """Between two requests for the same kind of reads: what calls ask for meanwhile goes out as one."""
    at_once: float = 2.0
    """For MAAS to refuse a request, however short its call's wait: it does so at once, and the call reports it."""
    withdrawing: float = 1.0
    """For closing the connection of a request that was cancelled."""
    turn: float = 0.5
    """Without a turn, after which a request is reported to wait for one."""
    stale: float = 5.0
    """After which a machine is read again before a request is sent for it."""
    settling: float = 10.0
    """For a change to show. MAAS's own answer still has the status, or the power state, from before."""
    between_reads: float = 2.0
    """Between two reads of a machine that is to show a change."""
    abort_limit: float = 10.0
    """For aborting after a cancellation. MAAS powers the machine off before it answers."""
    abort_again: float = 1.0
    """Until the next look at what is to be aborted, or to be given back."""
    last_poll: float = 30.0
    """For the look that is taken at the deadline."""
    outage_limit: float = 300.0
    """Without an answer from MAAS, after which an operation is no longer followed; the settings have it."""
    outage_pause: float = 5.0
    """Until the next try where MAAS is silent."""
    refusal_pause: float = 1.0
    """Until what was refused is asked for once more: one refusal may be a proxy's, or of a moment."""
    region_at_first: float = 10.0
    """From the start of an operation of the region on, in which it is looked for closely: it may be short."""
    region_closely: float = 0.5
    """Between two such looks."""
    region_soon: float = 2.0
    """Between looks at what has not shown to have begun since."""
    allocation_silence: float = 300.0
    """Without an answer, after which an allocation whose answer was lost is given up."""
    giving_back: float = 60.0
    """For releasing what a batch has allocated in vain."""
    allocation_uncertain: float = 15.0
    """In which MAAS may yet carry out an allocation whose answer nobody waited for."""
    batch_abort_limit: float = 50.0
    """For a call to wait for MAAS's answers to the aborts of a batch; they go on without it. Clients give up at 60."""
    batch_abort_again: float = 2.0
    """Until the next look at machines whose requests MAAS holds."""
    batch_abort_settled: float = 10.0
    """After which waiting for what MAAS holds is left to the server."""
    batch_abort_silence: float = 60.0
    """Without an answer, after which the abort of a batch is given up: a region that restarts takes as long."""

    def grace_after(self, error: MaasError) -> float:
        """In which what a request was to begin may still show, after such an answer to it or the loss of one."""
        return self.answered_grace if error.answered else self.start_grace
