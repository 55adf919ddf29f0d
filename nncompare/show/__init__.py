"""What every report is made of: sheets, numbers, plots."""
