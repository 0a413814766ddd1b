"""A trained network as plain files that load without rcas: which files, their text, and the card beside them."""
