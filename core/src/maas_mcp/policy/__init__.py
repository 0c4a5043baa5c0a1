"""What a site allows: tiers of calls, modes, protected machines. Pure: no I/O, no clock."""
