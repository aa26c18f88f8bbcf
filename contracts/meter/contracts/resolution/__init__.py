"""Resolution: from the words of a request to the instances of a backend, with all that these need."""
