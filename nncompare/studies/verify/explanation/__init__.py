"""Why a check failed: where it begins, and which single change of the reference gives the same.

=====================  =========================================================================
``findings``           from failed checks to what a report says of them
``root_causes``        which of a runtime's failed checks are causes, and which only follow
``first_divergence``   where runtimes part although each stands before the formulas
``changed``            what a formula is computed from, and the changes that are the same for all
``matching``           the search: which change gives what was observed
``layer``, ``loss``,
``gradient``,
``update``,
``running``,
``evaluation``         one quantity: its formula, what was observed, what can happen to it alone
``pieces``             the long piece where a training goes wrong
=====================  =========================================================================

There is one search, ``matching.Target``, for every quantity and for both conventions: the formula
is computed once more with one thing changed. Nothing here knows a layer or an optimizer by name.
The changes are the other documented meanings of every semantics knob, the fields of the layer's or
optimizer's own description, and a few transforms that any layer or update can suffer; so a layer is
explained on the day it is added.
"""
