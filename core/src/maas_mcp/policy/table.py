"""The base of the policy's tables."""

from pydantic import BaseModel, ConfigDict


class PolicyTable(BaseModel):
    """A table of the policy. An unknown key is an error, because a misspelt rule would protect nothing.

    Use ``model_construct`` for tables that exist without configuration: the first validation of a table builds its
    validator, which delays the start of the server.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)
