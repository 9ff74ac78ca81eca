"""What is kept: a table's file, what it must be, and a table or network in memory. No mode is computed here."""
