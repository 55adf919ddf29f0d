"""What nncompare does with an experiment: plan jobs, launch them, gather results."""
