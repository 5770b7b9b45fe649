"""The command line: from words typed to a settings dataclass; the only importer of hydra and omegaconf."""
