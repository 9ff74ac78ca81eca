"""Tables and methods in other formats."""
