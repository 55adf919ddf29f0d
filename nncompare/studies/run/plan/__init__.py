"""``nncompare run --dry-run``: what a run would do, without doing it."""
