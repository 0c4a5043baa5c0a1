"""Users with the API keys of a recording, so that recorded signatures are accepted."""

from dataclasses import dataclass

from maas_simulator import User


@dataclass(frozen=True)
class RecordedUser(User):
    """A user whose API key is given."""

    key: str = ""

    @property
    def consumer(self) -> str:
        """The consumer key."""
        return self.key.split(":")[0]

    @property
    def token(self) -> str:
        """The token's key."""
        return self.key.split(":")[1]

    @property
    def secret(self) -> str:
        """The token's secret."""
        return self.key.split(":")[2]
