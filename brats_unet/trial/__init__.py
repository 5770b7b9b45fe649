"""A few real training steps: does it fit, and how fast is it?"""
