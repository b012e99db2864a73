"""Whose ECG a page is: the order, what a person says of it, and the forms its values have."""
