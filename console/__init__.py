"""The command line `pedigree`: the same words for the laptop's cloud and for AWS."""
