"""The demo: scikit-learn's handwritten digits, labelled by simulated annotators with planted errors.

digits.py     the digits, who labelled them how, and what two models say of them
pictures.py   a digit as a small picture
story.py      what happens, record by record: labels, corrections, deletions, copies, bad records
pace.py       how many records are due
source.py     the story as a source of the loop
sending.py    the story to a topic
score.py      what was found, against the truth
"""
