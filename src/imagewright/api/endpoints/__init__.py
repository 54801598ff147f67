"""The endpoints: each takes a `Call` and returns the answer, or raises what `api.errors` knows to tell."""
