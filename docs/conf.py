"""How Sphinx builds the documentation: `sphinx-build -W -n docs docs/_build/html`."""

import sys
from pathlib import Path

from maas_mcp import __version__

sys.path.insert(0, str(Path(__file__).parents[1]))  # for docs._ext

project = "maas-mcp"
author = "the maas-mcp authors"
release = __version__
version = ".".join(__version__.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "docs._ext.maas_mcp_reference"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    # Other projects' types. Their inventories are online, and a build must work offline.
    (r"py:.*", r"(abc|anyio|collections|contextlib|datetime|enum|mcp_types|pathlib|pydantic|typing)\..*"),
    # Internal names in docstrings, which plugins do not use.
    (
        r"py:.*",
        r"(.*\.)?(AnswerT|ArgsT|FromMachine|ItemT|ProcessT|PromptArgsT|ReadT|ResultT|RowT|ObservationT|SettingsT|StateT|RunTimeline|reporting|MINIMUM_GAP)",
    ),
    # Sphinx parses this type as the name of a class.
    (r"py:class", r"bool \| ~typing\.Literal.*"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"maas-mcp {__version__}"
