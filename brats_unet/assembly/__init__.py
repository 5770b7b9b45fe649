"""Settings to parts that fit one another."""
