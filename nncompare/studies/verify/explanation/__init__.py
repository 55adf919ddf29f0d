"""Why a check failed: where it begins, and which single change of the reference gives the same.

=====================  =========================================================================
``findings``           from failed checks to what a report says of them
``root_causes``        which of a runtime's failed checks are causes, and which only follow
``first_divergence``   where runtimes part although each stands before the formulas
``matching``           whether a change of the reference reproduces what was observed
``fields``             what can be changed in any layer, optimizer or penalty, by its description
``layer``, ``loss``,
``gradient``,
``update``,
``running``,
``evaluation``         the reference of one quantity, with one thing changed
``replay``             the checked updates once more, for ``update``
``pieces``             the long piece where a training goes wrong
=====================  =========================================================================

Nothing here knows a layer or an optimizer by name. The changes are the other documented meanings of
every semantics knob, the fields of the layer's or optimizer's own description, and a few transforms
that any layer or update can suffer; so a layer is explained on the day it is added.
"""
