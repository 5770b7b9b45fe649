"""Schemes: which labels and regions a kind of tumour has, as data (conf/scheme/)."""
