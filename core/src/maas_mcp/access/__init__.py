"""Access over HTTP: tokens, and the MAAS API key of each principal."""
