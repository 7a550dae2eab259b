"""Which sentences synthetic voices read."""

import collections
import pathlib
import tempfile
import unittest

import pick_sentences


class Candidates(unittest.TestCase):
    def test_only_sentences_of_frequent_plain_words_and_a_speakable_length(self):
        good = "the sea is very old"
        lines = [good, good, "too short", "the sea is very rare", "the sea is 2 old", " ".join(["sea"] * 26)]
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder, "book.txt")
            text.write_text("\n".join(lines) + "\n")
            self.assertEqual(pick_sentences.candidates([text], 2), [good, good])


class Pick(unittest.TestCase):
    def test_a_sentence_whose_words_were_not_heard_comes_first(self):
        old, new = "the sea is very old", "brass kettles whistle every morning"
        heard = collections.Counter({word: 5 for word in old.split()})
        self.assertEqual(pick_sentences.pick([old, new], heard, 1), [new])

    def test_words_of_what_was_picked_count_as_heard(self):
        kettles, ships = "brass kettles whistle every morning", "tall ships cross cold oceans"
        picked = pick_sentences.pick([kettles] * 3 + [ships], collections.Counter(), 3)
        self.assertEqual(picked, [kettles, kettles, ships])

    def test_fewer_are_picked_where_all_words_were_heard_often(self):
        sentence = "the sea is very old"
        heard = collections.Counter({word: 1000 for word in sentence.split()})
        self.assertEqual(pick_sentences.pick([sentence], heard, 1), [])


if __name__ == "__main__":
    unittest.main()
