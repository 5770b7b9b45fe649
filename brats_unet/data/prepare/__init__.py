"""From the scans of a case to a prepared volume."""
