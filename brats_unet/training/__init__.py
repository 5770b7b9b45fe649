"""Training of a network: devices, update step, schedules, time budget and the training loop."""
