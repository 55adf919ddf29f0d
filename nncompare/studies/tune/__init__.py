"""``nncompare tune``: searches hyperparameters with Optuna by ask and tell. The parent imports no
framework.

Beside the files that every study has:

====================  ============================================================================
``options``           how a search is run, besides what the file says
``plan``              what is searched and with what: experiments, trainings, workers
``search``            one runtime's search: ask, train, judge, tell
``running_trial``     a trial under way, and the worker that trains it
``trial``             how one trial ended, and the values of its goals
``data_store``        prepared arrays on disk, made once for all trials that use the same
``trial_attributes``  what is written of a trial into Optuna's study
``cma_es``            CMA-ES, whose state is made of the trials and of nothing that is stored
``samplers``          Optuna's samplers, pruners and distributions from the file's words
``proposer``          the process that proposes trials where a sampler needs a framework
``storage``           where Optuna keeps a search: a journal or a database
``stored_study``      one search in a storage: trials are made ahead, taken, given back, reclaimed
``journal_check``     looks a journal through, line by line, before a search goes on with it
``resumption``        whether a stored search may go on: the same one, and all of it there
``watcher``           who wants to know how a search goes
``confirmation``      the best trials once more, on every runtime and with fresh seeds
``document``          from Optuna's studies to the record
``folder``            the result folder, which can be resumed
``charts``, ``page``  pictures, and the report with them as one HTML file
====================  ============================================================================
"""
