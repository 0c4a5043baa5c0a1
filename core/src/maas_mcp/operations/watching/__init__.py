"""Polling of MAAS, shared by all followed operations: events, and the machines that they name."""
