"""``nncompare run``: trains an experiment on every runtime."""
