"""Ratings of any size with a known low-rank truth: long-tailed as real ones are, and the same for the same seed."""

from recobatch.sources.synthetic.ratings import Shape, Truth, synthesize, write_synthetic

__all__ = ["Shape", "Truth", "synthesize", "write_synthetic"]
