"""Access over HTTP: static tokens, access tokens of OAuth issuers, and the MAAS API key of each principal."""
