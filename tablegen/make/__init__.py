"""Making a table and a network."""
