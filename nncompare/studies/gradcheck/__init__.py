"""``nncompare gradcheck``: the derivative of a formula in every framework, by every method.

Beside the files that every study has:

=====================  ===========================================================================
``exact_answer``       what is true of the formula, computed with many digits
``plot``               the picture
``plot_data``          what it shows, as rows of numbers
=====================  ===========================================================================
"""
