"""After the fact: reads histories, and replays, records, compares and forks what they tell.

Works on exported files as well as on a live server, and never changes a run on it.
"""
