"""Benchmarks of nncompare itself: what its harness costs."""
