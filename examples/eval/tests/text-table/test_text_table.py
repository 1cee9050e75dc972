import unittest

from main import render


class Drawing(unittest.TestCase):
    def test_left_and_right(self):
        self.assertEqual(
            render([["item", "price"], ["tea", "3"], ["cake", "12"]], "lr"),
            "item | price\n-----+------\ntea  |     3\ncake |    12",
        )

    def test_the_centre_has_its_odd_space_on_the_right(self):
        self.assertEqual(render([["wide"], ["x"], ["ab"]], "c"), "wide\n----\n x  \n ab ")

    def test_a_heading_alone(self):
        self.assertEqual(render([["a", "b"]], "ll"), "a | b\n--+--")

    def test_empty_cells_keep_their_width(self):
        self.assertEqual(render([["ab", ""], ["", "c"]], "ll"), "ab |  \n---+--\n   | c")

    def test_columns_without_any_text(self):
        self.assertEqual(render([["", ""]], "lr"), " | \n-+-")


class Lines(unittest.TestCase):
    def test_a_row_is_as_high_as_its_highest_cell(self):
        self.assertEqual(
            render([["n", "text"], ["1", "one\ntwo"], ["2", "x"]], "rl"),
            "n | text\n--+-----\n1 | one \n  | two \n2 | x   ",
        )

    def test_a_heading_of_several_lines(self):
        self.assertEqual(render([["a\nbcd", "e"]], "lc"), "a   | e\nbcd |  \n----+--")

    def test_an_empty_line_inside_a_cell_counts(self):
        self.assertEqual(render([["h"], ["a\n\nb"]], "r"), "h\n-\na\n \nb")


class Refusals(unittest.TestCase):
    def test_no_row(self):
        with self.assertRaises(ValueError):
            render([], "l")

    def test_another_number_of_cells(self):
        for rows in ([["a", "b"]], [["a"], []]):
            with self.assertRaises(ValueError):
                render(rows, "l")

    def test_an_unknown_alignment(self):
        with self.assertRaises(ValueError):
            render([["a"]], "x")
