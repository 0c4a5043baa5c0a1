"""Asks the client of a call, but only before the call changes something in MAAS."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from maas_mcp.errors import PluginError
from maas_mcp.maas.change_request import ChangeRequest
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.declaring.questions import Asker, ClientRequest, Question


class EarlyAsker:
    """Passes requests on to the client until the call sends its first change.

    A client since 2026-07-28 answers by calling again, and a repeated change would have two effects.

    Args:
        asker: Asks the client.
        tool: The name of the tool, for messages.
    """

    def __init__(self, asker: Asker, tool: str) -> None:
        self._asker = asker
        self._tool = tool
        self._changed = False
        self._answered: dict[str, tuple[ClientRequest, BaseModel]] = {}
        """The answers so far. A call that is rehearsed first would ask each question twice."""

    @property
    def has_changed(self) -> bool:
        """Whether the call has sent its first change, or is about to."""
        return self._changed

    def can_ask(self, kind: type[Any] = Question) -> bool:
        """Whether the client answers requests of this kind."""
        return self._asker.can_ask(kind)

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        """Ask the client.

        Raises:
            PluginError: The call has already changed something.
        """
        if self._changed:
            raise PluginError(
                f"{self._tool} asked the client after its first change in MAAS, which is a bug in the plugin. Expected "
                "all questions before the first change.",
                hint="The change in MAAS has taken effect. Check its result before you repeat the call.",
            )
        known = {key: each for key, each in self._answered.items() if requests.get(key) == each[0]}
        missing = {key: each for key, each in requests.items() if key not in known}
        answers = await self._asker.ask(missing) if missing else {}
        self._answered.update((key, (each, answers[key])) for key, each in missing.items())
        return {key: self._answered[key][1] for key in requests}

    async def log(self, text: str, level: str) -> None:
        """Send a log message to the client."""
        await self._asker.log(text, level)

    def noting_changes(self, maas: MaasClient) -> MaasClient:
        """The MAAS client for the call. After its first change, the call cannot ask any more."""

        async def note(_change: ChangeRequest) -> None:
            self.note_change()

        return maas.before_change(note)

    def note_change(self) -> None:
        """Allow no more questions."""
        self._changed = True
