#!/usr/bin/env python3
"""Writes daily.csv and budget.csv, the data of the tour: three years of a small shop's marketing.

The files are checked in; this script is how they came to be, and running it again gives the same bytes.
It therefore brings its own random numbers: a linear congruential generator with a fixed seed, and no
function of the standard library whose result could differ between versions of Python.

What the data holds, because an analyst will meet all of it:
  * whole euros and whole people, so every number is an integer;
  * a week that breathes: more signups from Monday to Thursday, no e-mail at the weekend;
  * five campaigns, named in their own column, with the television spend that only they have (null elsewhere);
  * nulls for what was never reported: the affiliates' network loses some invoices, churn is counted late;
  * twelve days without any row, when tracking was down;
  * churn that follows the number of customers, and a budget by month that is sometimes exceeded.
"""

import pathlib
from datetime import date, timedelta

HERE = pathlib.Path(__file__).resolve().parent

FIRST = date(2023, 1, 1)
DAYS = 1012
OUTAGE = (date(2024, 7, 9), date(2024, 7, 20))
CAMPAIGNS = [
    ("spring-23", date(2023, 4, 3), date(2023, 4, 30)),
    ("autumn-23", date(2023, 10, 2), date(2023, 11, 5)),
    ("spring-24", date(2024, 4, 1), date(2024, 4, 28)),
    ("autumn-24", date(2024, 9, 30), date(2024, 11, 3)),
    ("spring-25", date(2025, 4, 7), date(2025, 5, 4)),
]
# Monday first, in per mille of an ordinary day.
WEEK = [1150, 1180, 1160, 1120, 950, 700, 740]


class Dice:
    """Knuth's MMIX generator; only the high bits are used."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        """A whole number from 0 up to, not including, `bound`."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound

    def around(self, value, per_mille):
        """`value`, moved by at most `per_mille` either way, small moves more likely."""
        spread = value * per_mille // 1000
        if spread == 0:
            return value
        return value - spread + (self.below(2 * spread + 1) + self.below(2 * spread + 1)) // 2

    def chance(self, per_mille):
        return self.below(1000) < per_mille


def campaign_on(day):
    for name, first, last in CAMPAIGNS:
        if first <= day <= last:
            return name
    return None


def daily():
    dice = Dice(20230101)
    customers = 2400
    for index in range(DAYS):
        day = FIRST + timedelta(days=index)
        week = WEEK[day.weekday()]
        campaign = campaign_on(day)
        weekend = day.weekday() >= 5

        search = dice.around((520 + index // 4) * week // 1000, 180)
        social = dice.around((310 + index // 6) * (1000 + (1000 - week) // 2) // 1000, 220)
        email = 0 if weekend else dice.around(60, 300)
        tv = dice.around(1900, 120) if campaign else None
        affiliates = dice.around(140 + index // 12, 350)
        if campaign:
            social = social * 16 // 10

        reach = search * 52 + social * 38 + email * 110 + (tv or 0) * 19 + affiliates * 44
        signups = dice.around(reach * week // 1000 // 1000, 160)
        churned = dice.around(customers * (17 if weekend else 12) // 1000, 300)

        customers += signups - churned
        reported_affiliates = None if dice.chance(35) else affiliates
        reported_churn = None if index >= DAYS - 3 or dice.chance(12) else churned
        if OUTAGE[0] <= day <= OUTAGE[1]:
            continue
        yield [day.isoformat(), campaign, search, social, email, tv, reported_affiliates, signups, reported_churn]


def budget(rows):
    """The plan that the board agreed: last month's spend, rounded, with a bold guess for campaigns."""
    dice = Dice(77)
    spent = {}
    for row in rows:
        month = row[0][:7] + "-01"
        spent[month] = spent.get(month, 0) + sum(value or 0 for value in row[2:7])
    for month in sorted(spent):
        # The last month has only begun; its budget is for the whole of it.
        plan = max(spent[month], 30000) if month != max(spent) else 70000
        yield [month, dice.around(plan, 120) // 500 * 500]


def write(name, header, rows):
    text = ["" if cell is None else str(cell) for row in rows for cell in row]
    width = len(header)
    lines = [",".join(header)] + [",".join(text[at:at + width]) for at in range(0, len(text), width)]
    (HERE / name).write_bytes(("\n".join(lines) + "\n").encode("ascii"))


def main():
    rows = list(daily())
    header = ["day", "campaign", "search", "social", "email", "tv", "affiliates", "signups", "churned"]
    write("daily.csv", header, rows)
    write("budget.csv", ["month", "budget"], budget(rows))


if __name__ == "__main__":
    main()
