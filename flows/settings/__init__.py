"""The tree of settings, its sources, and the secrets that it never stores."""
