"""The mathematics of ``gradcheck``: formulas, exact values, derivatives, finite differences."""
