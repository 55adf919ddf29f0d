"""How: one folder a framework, and the boundary between them and nncompare."""
