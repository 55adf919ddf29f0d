"""The checks, one file a quantity: its tolerance, how it is judged in float64 and in float32, and
what rounding may do to it.

===================  ===============================================================================
``loading``          weights come back as they were loaded
``forward``          every layer's output, in inference and in training mode, and after updates
``loss``             the minimized loss at given weights
``gradient``         along directions by differences, in every entry between runtimes
``update``           one step of the optimizer, and the first one after a load
``running``          one step of the running statistics of batch norm
``trajectory``       every loss and the kept weights of a training
``evaluation``       what ``predict`` gives in the midst of a training and at its end
``long_pieces``      a training in long pieces ends where one in single steps does
``dropout``          the framework's own dropout
===================  ===============================================================================

``quantity`` names them, ``check`` is one comparison, ``subject`` who is judged by whom,
``distance`` says how far apart two arrays are, ``place`` at which weights and examples a formula is
evaluated; ``floor``, ``dead`` and ``rounding`` are what several quantities allow for rounding.
"""
