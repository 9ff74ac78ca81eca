"""The squashed Gaussian as a distribution, and other people's."""
