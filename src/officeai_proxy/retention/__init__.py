"""What is kept how long: old conversations archived and deleted, the bin and the logs emptied."""
