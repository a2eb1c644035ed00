"""Numbers and risk: normalisation, the hot table and the models that fill it."""
