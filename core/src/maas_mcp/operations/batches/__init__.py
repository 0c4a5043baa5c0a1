"""Batches: one operation on many machines, each run by the engine."""
