"""What scripts/entropy_study is made of."""
