"""The jobs of the pipeline: prepare, extract features, tune, train; and what they are made of."""
