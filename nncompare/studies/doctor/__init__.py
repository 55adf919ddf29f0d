"""``nncompare doctor``: frameworks, devices, threads, data."""
