"""``nncompare run``: trains an experiment on every runtime and compares time and loss.

Beside the files that every study has:

=============  ===================================================================================
``headline``   the sentences at the top of the report
``tables``     its tables: learning, time
``curves``     its plots of the losses
``parity``     what the workers observed, judged: do the runtimes compute the same function?
``document``   from what the workers said to the document, and into its folder
``watcher``    who is told what a run does
``plan``       the dry run, a small study of its own
=============  ===================================================================================
"""
