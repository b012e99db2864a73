"""Who may be asked whose ECG a page is: modality worklists, what feeds told, and earlier ECGs."""
