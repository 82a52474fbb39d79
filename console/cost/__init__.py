"""`pedigree cost`: what a run and an idle month cost for the current settings."""
