"""The schema: brought to what this code needs, and looked over, rights and rows included."""
