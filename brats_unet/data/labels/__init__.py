"""What the integers of a mask mean."""
