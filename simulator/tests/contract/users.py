"""Users with the API keys of a recording, so that recorded signatures are accepted."""

from dataclasses import dataclass
from functools import cached_property

from maas_simulator import User
from maas_simulator.model.auth import USUAL_CONSUMER, Token


@dataclass(frozen=True)
class RecordedUser(User):
    """A user whose API key is given."""

    key: str = ""

    @cached_property
    def own_token(self) -> Token:
        """The API key."""
        return Token(USUAL_CONSUMER, *self.key.split(":"))
