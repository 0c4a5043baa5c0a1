"""The informer: a snapshot of all machines that a caller may see, kept fresh at a small, bounded cost for MAAS."""
