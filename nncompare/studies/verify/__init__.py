"""``verify``: proves that the runtimes compute the same function, or says where they part.

========================  ========================================================================
``study``                 ``verify``: one check from the experiment to the stored certificate
``parity``, ``native``      jobs, examples, workers, judges, in the two conventions
``context``               one experiment in one dtype, and the formulas at its examples
``judge``, ``floor``      the checks: by formula and between runtimes; float32 by its rounding floor
``rounding``,
``trajectory``            what rounding may do to them; how far a chaotic or diverging
                          training can be compared
``gates``                 how far apart is too far
``explain``, ``suspects``  the first cause of a failed check, and the known mistake that it
                          looks like
``document``              the certificate
========================  ========================================================================
"""
