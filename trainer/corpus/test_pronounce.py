"""How words are pronounced where no dictionary has them."""

import collections
import json
import pathlib
import tempfile
import unittest

import pronounce

DICTIONARY = {
    "cat": [["K", "AE1", "T"]],
    "dog": [["D", "AO1", "G"]],
    "book": [["B", "UH1", "K"]],
    "church": [["CH", "ER1", "CH"]],
    "boys": [["B", "OY1", "Z"]],
    "they": [["DH", "EY1"]],
    "could": [["K", "UH1", "D"]],
    "tis": [["T", "IH1", "Z"]],
    # As the dictionary has them: the same sounds with another stress, and more ways than are kept.
    "record": [["R", "AH0", "K", "AO1", "R", "D"], ["R", "AH1", "K", "AO0", "R", "D"]],
    "or": [["AO1", "R"], ["ER0"], ["ER1"], ["OW1", "R"], ["AA1", "R"]],
}


def phones(text):
    return [pronunciation.split() for pronunciation in text.split("/")]


class OfTheDictionary(unittest.TestCase):
    def test_ways_that_differ_in_stress_alone_are_one(self):
        self.assertEqual(pronounce.of_dictionary(DICTIONARY, "record"), phones("R AH K AO R D"))

    def test_three_ways_are_kept(self):
        self.assertEqual(pronounce.of_dictionary(DICTIONARY, "or"), phones("AO R/ER/OW R"))

    def test_a_word_that_it_lacks_has_none(self):
        self.assertEqual(pronounce.of_dictionary(DICTIONARY, "xylem"), [])


class WithAnApostrophe(unittest.TestCase):
    def test_s_sounds_as_the_phone_before_it_has_it(self):
        for word, sound in [
            ("cat's", "K AE T S"), ("book's", "B UH K S"), ("dog's", "D AO G Z"), ("church's", "CH ER CH IH Z"),
        ]:
            self.assertEqual(pronounce.of_base(DICTIONARY, word), phones(sound), word)

    def test_ve_has_a_vowel_behind_a_consonant(self):
        for word, sound in [("they've", "DH EY V"), ("could've", "K UH D AH V")]:
            self.assertEqual(pronounce.of_base(DICTIONARY, word), phones(sound), word)

    def test_an_apostrophe_at_an_end_is_silent(self):
        for word, sound in [("boys'", "B OY Z"), ("'tis", "T IH Z")]:
            self.assertEqual(pronounce.of_base(DICTIONARY, word), phones(sound), word)


class OfEspeak(unittest.TestCase):
    def arpabet(self, ipa):
        unknown = collections.Counter()
        return " ".join(pronounce.to_arpabet(ipa, unknown)), unknown

    def test_symbols_become_phones_without_stress(self):
        for ipa, sound in [("w_ˈɜː_d", "W ER D"), ("tʃ_ˈaɪ_ə", "CH AY AH"), ("ɡ_ˈɑːɹ_d", "G AA R D")]:
            self.assertEqual(self.arpabet(ipa), (sound, {}), ipa)

    def test_r_behind_er_is_left_out(self):
        self.assertEqual(self.arpabet("f_ˈɜː_ɹ_i"), ("F ER IY", {}))

    def test_the_mark_of_a_foreign_language_is_no_sound(self):
        self.assertEqual(self.arpabet("(fr)_ʒ_(en)"), ("ZH", {}))

    def test_symbols_without_a_phone_are_counted(self):
        self.assertEqual(self.arpabet("k_ǂ"), ("K", {"ǂ": 1}))

    def test_a_number_in_roman_letters_is_read_without_the_word_roman(self):
        six = "S IH K S".split()
        said = [*"R OW M AH N".split(), *six]
        self.assertEqual(pronounce.without_roman("vi", said), six)
        self.assertEqual(pronounce.without_roman("roman", said), said)


class WordsThatAreWanted(unittest.TestCase):
    def test_all_that_are_said_and_the_most_frequent_of_texts_with_their_ties(self):
        with tempfile.TemporaryDirectory() as folder:
            manifest = pathlib.Path(folder, "said.jsonl")
            manifest.write_text(json.dumps({"text": "One day"}) + "\n" + json.dumps({}) + "\n")
            text = pathlib.Path(folder, "book.txt")
            text.write_text("the the the sea sea old old rare 1st\n")
            words, counts = pronounce.wanted_words([manifest], [], [text], 2)
        self.assertEqual(words, ["day", "old", "one", "sea", "the"])
        self.assertEqual(counts["the"], 3)


if __name__ == "__main__":
    unittest.main()
