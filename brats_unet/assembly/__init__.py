"""From settings to parts that fit together."""
