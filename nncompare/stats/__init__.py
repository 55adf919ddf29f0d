"""Pure statistics: summaries and ratios of measured figures."""
