"""The shells of the README and the guides, typed with the programs that they call."""
