"""The names of the project's own plugins. Tests ignore other plugins in their environment."""

OWN_PLUGINS = ("commission", "configure", "deploy", "inventory")
