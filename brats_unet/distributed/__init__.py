"""Several processes that run one command: which there are, how they meet, and what they tell one another."""
