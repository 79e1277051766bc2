"""Ratings of any size with a known low-rank truth: long-tailed like real ones, reproducible by seed."""

from recobatch.sources.synthetic.ratings import Shape, Truth, synthesize, write_synthetic

__all__ = ["Shape", "Truth", "synthesize", "write_synthetic"]
