"""Other ways to choose networks, to compare the search with: under the same budget, measured in the same way."""
