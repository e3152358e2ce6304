"""Times counted in buckets in, percentiles out; the counts of several places can be added up."""

from collections import Counter

from officeai_proxy.storage.calls.numbers import middle_of


class Times(Counter[int]):
    """How many calls took how long: buckets of `numbers.bucket_of` to numbers of calls."""

    def percentile(self, percent: int) -> float | None:
        """The time in milliseconds that *percent* of the calls did not exceed; None without any.

        The nearest rank: the smallest time so that at least so many took no longer, told as the
        middle of its bucket.
        """
        rank = (self.total() * percent + 99) // 100
        for bucket in sorted(self):
            rank -= self[bucket]
            if rank <= 0 and self[bucket]:
                return round(middle_of(bucket), 4)
        return None
