"""Which words count as common, and how much."""

import pathlib
import tempfile
import unittest

import common_words


class OfScowl(unittest.TestCase):
    def words(self, lists, spoken):
        with tempfile.TemporaryDirectory() as folder:
            for name, words in lists.items():
                pathlib.Path(folder, name).write_text("\n".join(words) + "\n", "latin-1")
            return common_words.of_scowl(pathlib.Path(folder), spoken.__contains__)

    def test_a_word_of_several_classes_counts_as_in_the_most_common(self):
        found = self.words({"english-words.35": ["radio"], "english-words.20": ["radio"]}, {"radio"})
        self.assertEqual(found, {"radio": common_words.COUNTS[20]})

    def test_names_are_taken_in_lower_case(self):
        self.assertEqual(list(self.words({"english-upper.10": ["Monday"]}, {"monday"})), ["monday"])

    def test_what_the_dictionary_cannot_pronounce_and_what_is_no_plain_word_is_left_out(self):
        lists = {"english-words.10": ["tv", "a", "radio's", "café"], "english-words.50": ["larch"]}
        self.assertEqual(self.words(lists, {"a", "radio's", "café", "larch"}), {})


if __name__ == "__main__":
    unittest.main()
