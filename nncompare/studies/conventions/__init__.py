"""``nncompare compare-conventions``: what the frameworks' defaults cost."""
