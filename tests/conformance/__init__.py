"""One suite that every backend must pass, against the float64 formulas of
``nncompare.numerics``.
"""
