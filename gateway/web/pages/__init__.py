"""The pages for people: thin shells that the scripts under static/ fill from the API."""
