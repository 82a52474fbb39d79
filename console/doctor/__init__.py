"""`pedigree doctor`: what stands in the way, and for each thing what to do about it."""
