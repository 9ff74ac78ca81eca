"""What scripts/test_versions is made of."""
