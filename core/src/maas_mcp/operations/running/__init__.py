"""Running operations: start once, follow, resume, abort, and say why one did not succeed."""
