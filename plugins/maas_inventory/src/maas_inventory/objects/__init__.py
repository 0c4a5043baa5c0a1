"""The region's objects that are not machines: kinds declared as data, and the one mechanism that lists them."""
