"""``nncompare verify``: proves that the runtimes compute the same function, or says where they
part.

Beside the files that every study has:

=======================  ========================================================================
``aligned``, ``native``  jobs, examples, workers and judges, in the two conventions
``context``              one experiment in one dtype, and the formulas at its examples
``judge``                which checks are made of what the runtimes did
``checks``               the checks, one file a quantity, each with its tolerance
``changes``              what a framework's own defaults change
``growth``               how far a training can be compared that diverges or is chaotic
``quick``                the short form, which every run makes
``explanation``          where a failed check begins, and what it looks like
``document``             from the evidence to the certificate
``certificates``         certificates that were given before
``watcher``              who is told what a check does
=======================  ========================================================================
"""
