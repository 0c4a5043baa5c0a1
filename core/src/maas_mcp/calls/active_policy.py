"""The policy in effect, which a reload of the configuration replaces."""

from typing import TYPE_CHECKING

from maas_mcp.policy.configuration import Mode, Policy
from maas_mcp.settings import Settings

if TYPE_CHECKING:
    from maas_mcp.calls.usage import UsageStore


class ActivePolicy:
    """The site's policy and mode, shared by all calls of a process.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.rules: Policy
        """The table ``[policy]``."""
        self.mode_name: str
        """The name of the mode."""
        self._usage: UsageStore | None = None
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Judge by these settings from now on. A new usage file has its own counts."""
        previous = None if self._usage is None else self.rules.usage_file
        self.rules, self.mode_name = settings.policy, settings.mode
        self.hides_admin_tools = settings.admin_tools == "hide"
        if self._usage is not None and self.rules.usage_file != previous:
            self._usage = None  # running calls still use the old one, which is closed with the last of them

    @property
    def mode(self) -> Mode:
        """The mode."""
        return self.rules.mode(self.mode_name)

    @property
    def usage(self) -> "UsageStore":
        """The counts of machines for the limits, opened when a limit first needs them.

        Raises:
            RefusedByPolicyError: The usage file cannot be used.
        """
        # SQLite is imported by the first call that a limit counts.
        from maas_mcp.calls.usage import UsageStore  # noqa: PLC0415 - see above

        if self._usage is None:
            self._usage = UsageStore(self.rules.usage_file)
        return self._usage

    def close(self) -> None:
        """Close the usage file."""
        if self._usage is not None:
            self._usage.close()
            self._usage = None
