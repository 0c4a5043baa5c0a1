"""Run operations: start each once, follow, resume and abort it, and explain failures."""
