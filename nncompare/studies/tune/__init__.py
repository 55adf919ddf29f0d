"""``nncompare tune``: searches hyperparameters with Optuna by ask and tell. The parent imports no
framework.

Beside the files that every study has:

====================  ============================================================================
``options``           how a search is run, besides what the file says
``plan``              what is searched and with what; a trial under way
``search``            one runtime's search: ask, train, judge, tell
``trial``             what one trial trains, and what came of it
``trial_attributes``  what is written of a trial into Optuna's study
``samplers``          Optuna's samplers, pruners and distributions from the file's words
``proposer``          the process that proposes trials where a sampler needs a framework
``storage``           where Optuna keeps a search: a journal or a database
``confirmation``      the best trials once more, on every runtime and with fresh seeds
``document``          from Optuna's studies to the record
``folder``            the result folder, which can be resumed
``charts``, ``page``  pictures, and the report with them as one HTML file
====================  ============================================================================
"""
