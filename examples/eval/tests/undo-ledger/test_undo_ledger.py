import unittest

from main import Ledger


def filled(*bookings):
    ledger = Ledger()
    for text, cents in bookings:
        ledger.book(text, cents)
    return ledger


class Booking(unittest.TestCase):
    def test_an_empty_ledger(self):
        self.assertEqual((Ledger().balance, Ledger().lines()), (0, []))

    def test_the_balance_is_the_sum(self):
        self.assertEqual(filled(("pay", 100_000), ("rent", -55_000)).balance, 45_000)

    def test_lines_have_a_sign_and_two_places(self):
        lines = filled(("a", 5), ("b", -5), ("c", -100), ("d", 123_456)).lines()
        self.assertEqual(lines, ["a: +0.05", "b: -0.05", "c: -1.00", "d: +1234.56"])

    def test_nothing_is_no_booking(self):
        ledger = filled(("a", 1))
        for text, cents in (("", 5), ("b", 0)):
            with self.assertRaises(ValueError):
                ledger.book(text, cents)
        self.assertEqual(ledger.lines(), ["a: +0.01"])


class TakingBack(unittest.TestCase):
    def test_without_bookings_nothing_happens(self):
        self.assertIsNone(Ledger().undo())
        self.assertIsNone(Ledger().redo())

    def test_the_last_goes_first(self):
        ledger = filled(("a", 1), ("b", 2), ("c", 3))
        self.assertEqual((ledger.undo(), ledger.undo(), ledger.balance), ("c", "b", 1))

    def test_what_went_last_comes_back_first(self):
        ledger = filled(("a", 1), ("b", 2), ("c", 3))
        ledger.undo()
        ledger.undo()
        self.assertEqual((ledger.redo(), ledger.balance), ("b", 3))
        self.assertEqual((ledger.redo(), ledger.redo(), ledger.balance), ("c", None, 6))

    def test_a_new_booking_forgets_what_was_taken_back(self):
        ledger = filled(("a", 1), ("b", 2))
        ledger.undo()
        ledger.book("c", 4)
        self.assertEqual((ledger.redo(), ledger.balance), (None, 5))

    def test_a_refused_booking_forgets_nothing(self):
        ledger = filled(("a", 1), ("b", 2))
        ledger.undo()
        with self.assertRaises(ValueError):
            ledger.book("", 4)
        self.assertEqual(ledger.redo(), "b")


class Ledgers(unittest.TestCase):
    def test_they_share_nothing(self):
        one, other = filled(("a", 1)), Ledger()
        self.assertEqual((other.balance, one.balance), (0, 1))
