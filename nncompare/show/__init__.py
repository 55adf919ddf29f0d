"""What every report is made of: sheets, numbers, plots; as text, as HTML, and as a ``Result``."""
