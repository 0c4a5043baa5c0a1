"""The operations of MAAS on simulated machines, instant ones and long ones."""
