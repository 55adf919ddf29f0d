"""``nncompare gradcheck``: the derivative of a formula in every framework."""
