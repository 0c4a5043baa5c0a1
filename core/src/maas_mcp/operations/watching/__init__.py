"""Looking at MAAS once for all that is followed: events, and the machines that they name."""
