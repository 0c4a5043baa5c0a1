"""Pure logic that turns observations of an operation into a verdict, a fraction and a message."""
