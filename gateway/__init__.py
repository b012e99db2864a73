"""The hospital's side: takes pages in, gives recordings out, loses nothing."""

# What we call ourselves in every document, and by which we know our own when one comes back.
MAKER = "CardioScan"
MODEL = "CardioScan Gateway"
