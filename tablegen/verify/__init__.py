"""The verifier: a proven bound of what a table's lookups (`prove`), or its network (`network`), can be off by."""
