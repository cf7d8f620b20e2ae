"""The shell: `workbench <capability> <verb>`, a loop over the catalogue, and a few of its own."""
