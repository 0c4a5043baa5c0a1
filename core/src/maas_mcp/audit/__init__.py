"""The audit: a file of hash-chained JSON lines about the calls that change something, and its verification."""
