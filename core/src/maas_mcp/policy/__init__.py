"""The site's policy: tiers, modes, protected machines, freeze windows and limits. Pure: no I/O, no clock."""
