"""Judging, without I/O or a clock: what was seen of an operation goes in, what it has come to comes out."""
