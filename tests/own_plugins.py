"""The project's own plugins, by name: whatever else is installed where the tests run is none of their business."""

OWN_PLUGINS = ("commission", "deploy", "inventory")
